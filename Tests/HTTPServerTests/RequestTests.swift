import HTTPServer
import HTTPTypes
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct RequestTests {
    @Test func `a finished response arrives with its length`() async throws {
        try await withServer { fixture in
            let response = try fixture.request("GET", "/hello")
            #expect(response.status == 200)
            #expect(response.text == "/hello")
            #expect(response["content-length"] == "6")
            #expect(response["content-type"] == "text/plain")
        }
    }

    @Test func `a pending response arrives when its work returns`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            #expect(try client.request("GET", "/pending").text == "later")
            #expect(try client.request("GET", "/hello").text == "/hello")
        }
    }

    @Test func `requests on one connection are answered in order, pending ones included`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            let targets = ["/1", "/pending", "/2", "/pending", "/3"]
            try client.send(targets.map { "GET \($0) HTTP/1.1\r\nHost: h\r\n\r\n" }.joined())
            var texts: [String] = []
            for _ in targets { texts.append(try client.readResponse().text) }
            #expect(texts == ["/1", "later", "/2", "later", "/3"])
        }
    }

    @Test(arguments: ["/a%2Fb/%00/c+d", "/x?a=1&b=%20", "/x?", "/?q?r", "/%zz", "//", "/a;b=c"])
    func `path and query arrive undecoded`(target: String) async throws {
        try await withServer { fixture in
            let response = try fixture.request("GET", target)
            #expect(response.text == target)
        }
    }

    @Test func `HEAD gets the length of the GET response and no body`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            let head = try client.request("HEAD", "/hello")
            #expect(head.status == 200)
            #expect(head["content-length"] == "6")
            // The next response would start with the body if one had been sent.
            #expect(try client.request("GET", "/after").text == "/after")
        }
    }

    @Test func `a chunked body arrives in one piece`() async throws {
        try await withServer { fixture in
            let response = try fixture.exchange(
                "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nTrailer: t\r\n\r\n"
            )
            #expect(response.status == 200)
            #expect(response.text == "abcdefgh")
        }
    }

    @Test func `a body as long as the limit arrives whole`() async throws {
        try await withServer { fixture in
            let body = (0..<65_536).map { UInt8(truncatingIfNeeded: $0 * 7) }
            let response = try fixture.request("PUT", "/echo", body: body)
            #expect(response.body == body)
        }
    }

    @Test func `unknown methods reach the handler`() async throws {
        try await withServer { fixture in
            let response = try fixture.request("BREW", "/method")
            #expect(response.text == "BREW")
        }
    }

    @Test func `headers arrive with values trimmed, whatever their case`() async throws {
        try await withServer { fixture in
            let response = try fixture.exchange(
                "GET /headers HTTP/1.1\r\nhOsT:h\r\nX-A: \t one \t\r\nx-a:two\r\nX-Empty:\r\n\r\n"
            )
            #expect(response.text == "host=h\nx-a=one\nx-a=two\nx-empty=")
        }
    }

    @Test func `a header that arrives byte by byte is understood`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            let padding = String(repeating: "p", count: 1500)
            let request = "GET /headers HTTP/1.1\r\nHost: h\r\nX-P: \(padding)\r\nX-Q: q\r\n\r\n"
            for byte in request.utf8 { try client.send([byte]) }
            #expect(try client.readResponse().text == "host=h\nx-p=\(padding)\nx-q=q")
        }
    }

    @Test func `many and long headers within the limit are understood on a kept connection`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            for count in [1, 20, 60, 1] {
                let headers = (0..<count).map { ("X-\($0)", String(repeating: "v", count: 100)) }
                let response = try client.request("GET", "/headers", headers: headers)
                #expect(response.status == 200)
                #expect(response.text.split(separator: "\n").count == count + 1)
            }
        }
    }

    @Test func `a body announced with 100-continue is asked for`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            #expect(try client.readResponse().status == 100)
            try client.send("abc")
            #expect(try client.readResponse().text == "abc")
        }
    }

    @Test func `an HTTP 1.0 client needs no Host and gets its connection closed`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send("GET /old HTTP/1.0\r\n\r\n")
            #expect(try client.readResponse().text == "/old")
            #expect(try client.readToEnd().isEmpty)
        }
    }

    @Test func `framing headers of the handler are ignored`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            let response = try client.request("GET", "/own-framing")
            #expect(response["content-length"] == "3")
            #expect(response["content-type"] == "text/x")
            #expect(try client.request("GET", "/kept").status == 200)
        }
    }

    @Test func `a handler that answers nonsense causes a 500`() async throws {
        try await withServer { fixture in
            let response = try fixture.request("GET", "/impossible")
            #expect(response.status == 500)
            #expect(fixture.recorder.counts.refusals == [.internalError])
        }
    }

    @Test func `closeConnection closes the connection`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            #expect(try client.request("GET", "/close")["connection"] == "close")
            #expect(try client.readToEnd().isEmpty)
        }
    }

    @Test func `an admission refusal without a body keeps the connection`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            #expect(try client.request("GET", "/x", headers: [("Authorization", "wrong")]).status == 401)
            #expect(try client.request("GET", "/x").status == 200)
            #expect(fixture.handler.handled == 1)
        }
    }

    @Test func `an admission refusal does not wait for the announced body`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send("PUT /x HTTP/1.1\r\nHost: h\r\nAuthorization: wrong\r\nContent-Length: 9\r\n\r\n")
            #expect(try client.readResponse().status == 401)
            #expect(try client.readToEnd().isEmpty)
        }
    }

    @Test func `an IPv6 address can be listened on`() async throws {
        try await withServer({ $0.host = "::1" }) { fixture in
            let client = try RawHTTPClient(host: "::1", port: fixture.server.port)
            #expect(try client.request("GET", "/six").text == "/six")
        }
    }

    @Test func `a pool of threads serves alike`() async throws {
        try await withServer({ $0.threads = 3 }) { fixture in
            let clients = try (0..<12).map { _ in try fixture.connect() }
            for client in clients { try client.send("GET /pending HTTP/1.1\r\nHost: h\r\n\r\n") }
            for client in clients { #expect(try client.readResponse().text == "later") }
        }
    }
}
