import CurlTransport
import Glibc
import HTTPTypes
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CurlTransportTests {
    @Test func `a request carries method, body and headers, and the response comes back whole`() async throws {
        let server = try ScriptedHTTPServer { request in
            .reply(
                status: 201,
                headers: [("X-Seen", request.header("x-mine") ?? "none"), ("X-Empty", "")],
                body: Array("hello \(request.body.count)".utf8)
            )
        }
        defer { server.stop() }
        try await withTransport { transport in
            let mine = try #require(HTTPField.Name("X-Mine"))
            let response = try await transport.send(
                TransportRequest(
                    method: .post,
                    url: server.url + "/a?b=c",
                    headers: [mine: "one"],
                    body: Array("body".utf8),
                    deadline: .seconds(20)
                )
            )
            #expect(response.status == 201)
            #expect(response.text == "hello 4")
            #expect(response.version == .http1_1)
            #expect(response.newConnections == 1)
            #expect(response.headers[try #require(HTTPField.Name("X-Seen"))] == "one")
            #expect(response.headers[try #require(HTTPField.Name("X-Empty"))] == "")
            let request = try #require(server.requests.first)
            #expect(request.method == "POST")
            #expect(request.path == "/a?b=c")
            #expect(request.body == Array("body".utf8))
            #expect(request.header("accept") == "application/json")
            #expect(request.header("user-agent") == "sandbox-manager")
            #expect(request.header("content-length") == "4")
            for absent in ["expect", "content-type", "accept-encoding"] { #expect(request.header(absent) == nil) }
        }
    }

    @Test(arguments: [HTTPRequest.Method.get, .head, .post, .put, .patch, .delete, .options])
    func `every method is sent as named, with a length only where a body is usual`(
        method: HTTPRequest.Method
    ) async throws {
        let server = try ScriptedHTTPServer { _ in .reply(body: Array("x".utf8)) }
        defer { server.stop() }
        try await withTransport { transport in
            let request = TransportRequest(method: method, url: server.url, deadline: .seconds(20))
            let response = try await transport.send(request)
            #expect(response.status == 200)
            #expect(response.text == (method == .head ? "" : "x"))
            let seen = try #require(server.requests.first)
            #expect(seen.method == method.rawValue)
            let length = [.post, .put, .patch].contains(method) ? "0" : nil
            #expect(seen.header("content-length") == length)
        }
    }

    @Test func `fields of the caller replace the added ones, and empty values are sent`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        try await withTransport { transport in
            let empty = try #require(HTTPField.Name("X-Empty"))
            let headers: HTTPFields = [.accept: "text/plain", .userAgent: "me", .contentType: "a/b", empty: ""]
            _ = try await transport.send(
                TransportRequest(method: .post, url: server.url, headers: headers, deadline: .seconds(20))
            )
            let seen = try #require(server.requests.first)
            #expect(seen.headers.filter { $0.name == "accept" }.map(\.value) == ["text/plain"])
            #expect(seen.headers.filter { $0.name == "user-agent" }.map(\.value) == ["me"])
            #expect(seen.header("content-type") == "a/b")
            #expect(seen.header("x-empty") == "")
        }
    }

    @Test(arguments: [204, 302, 404, 429, 502])
    func `a response of any status is a response, and redirects are not followed`(status: Int) async throws {
        let server = try ScriptedHTTPServer { _ in .reply(status: status, headers: [("Location", "/elsewhere")]) }
        defer { server.stop() }
        try await withTransport { transport in
            let response = try await transport.send(.get(server.url))
            #expect(response.status == status)
            #expect(server.requests.count == 1)
        }
    }

    @Test func `interim responses and trailers leave the final header section alone`() async throws {
        let reply = """
            HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Final:  1 \r\nbad name: 1\r\n\r\n\
            2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n
            """
        let server = try ScriptedHTTPServer { _ in .bytes(Array(reply.utf8)) }
        defer { server.stop() }
        try await withTransport { transport in
            let response = try await transport.send(.get(server.url))
            #expect(response.status == 200)
            #expect(response.text == "ok")
            #expect(response.headers.map(\.name.canonicalName) == ["transfer-encoding", "x-final"])
            #expect(response.headers[try #require(HTTPField.Name("X-Final"))] == "1")
        }
    }

    @Test func `sequential requests share one connection`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        try await withTransport { transport in
            for number in 0..<20 {
                let response = try await transport.send(.get(server.url))
                #expect(response.connectionReused == (number > 0))
            }
            #expect(server.connectionCount == 1)
            #expect(transport.openConnections == 1)
        }
    }

    @Test func `proxy variables of the environment are ignored`() async throws {
        setenv("http_proxy", "http://127.0.0.1:1", 1)
        defer { unsetenv("http_proxy") }
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        try await withTransport { transport in
            try #require(try await transport.send(.get(server.url)).status == 200)
        }
    }

    @Test(arguments: [
        "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "127.0.0.1", "", "http://user:secret@127.0.0.1/",
        "http://127.0.0.1/a b", "http://127.0.0.1:99999/", "http://127.0.0.1/\u{e9}", "http://host./", "gopher://a/",
        "http://127.0.0.1/\r\nX: 1",
    ])
    func `a URL that must not be used is refused without repeating it`(url: String) async throws {
        try await withTransport { transport in
            let error = try #require(await failure(transport, .get(url)))
            guard case .invalidRequest(let reason) = error else {
                Issue.record("unexpected \(error)")
                return
            }
            #expect(!error.mayHaveReachedServer)
            #expect(!reason.contains("secret"))
            #expect(transport.inFlight == 0)
        }
    }

    @Test(arguments: ["Content-Length", "Transfer-Encoding", "Host", "Connection", "Expect", "Upgrade"])
    func `header fields that belong to the connection are refused`(name: String) async throws {
        try await withTransport { transport in
            let field = try #require(HTTPField.Name(name))
            let request = TransportRequest(
                method: .get,
                url: "http://127.0.0.1:1/",
                headers: [field: "1"],
                deadline: .seconds(1)
            )
            let error = try #require(await failure(transport, request))
            #expect(error.description.contains(name.lowercased()))
        }
    }

    @Test func `bad configurations are refused`() {
        var configuration = CurlConfiguration()
        configuration.maxConnectionsPerHost = 0
        #expect(throws: CurlError.unusable(reason: "maxConnectionsPerHost must be at least 1")) {
            try CurlTransport(configuration: configuration)
        }
        configuration = CurlConfiguration()
        configuration.userAgent = "a\r\nX: 1"
        #expect(throws: CurlError.self) { try CurlTransport(configuration: configuration) }
    }
}
