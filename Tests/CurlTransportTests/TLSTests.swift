import CurlTransport
import HTTPTypes
import TestSupport
import Testing

@Suite(
    .timeLimit(.minutes(2)),
    .serialized,
    .enabled(if: TestAuthority.isAvailable && ChildProcess.exists("python3"), "needs openssl and python3")
)
struct TLSTests {
    /// Serves HTTP/1.1 over TLS with the certificate named on its command line and prints its port.
    private static let program = """
        import http.server, socketserver, ssl, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_GET(self):
                self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers()
                self.wfile.write(b"ok")
            def log_message(self, *arguments): pass
        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            def handle_error(self, *arguments): pass
        server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        if len(sys.argv) > 3: context.maximum_version = ssl.TLSVersion[sys.argv[3]]
        if len(sys.argv) > 3: context.set_ciphers("ALL:@SECLEVEL=0")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        print("PORT", server.server_address[1], flush=True)
        server.serve_forever()
        """

    /// Runs `body` against a TLS server that has the named certificate.
    private func withServer(
        _ authority: TestAuthority,
        _ certificate: String,
        tls version: String? = nil,
        _ body: (_ port: Int) async throws -> Void
    ) async throws {
        let arguments = ["python3", "-c", Self.program, authority.path("\(certificate).pem")]
        let server = try ChildProcess(
            arguments + [authority.path("\(certificate).key")] + (version.map { [$0] } ?? [])
        )
        defer { server.end() }
        try await body(try #require(server.line(after: "PORT ").flatMap { Int($0) }))
    }

    @Test func `a certificate of the given authority is accepted, and the connection is reused`() async throws {
        let authority = try TestAuthority()
        defer { authority.remove() }
        try authority.makeCertificate("good", subject: "IP:127.0.0.1")
        try await withServer(authority, "good") { port in
            try await withTransport({ $0.caFile = authority.path("ca.pem") }) { transport in
                for number in 0..<3 {
                    let response = try await transport.send(.get("https://127.0.0.1:\(port)/"))
                    #expect(response.text == "ok")
                    #expect(response.version == .http1_1)
                    #expect(response.connectionReused == (number > 0))
                }
            }
        }
    }

    @Test func `a certificate nobody vouches for, for another name, or outdated is refused`() async throws {
        let authority = try TestAuthority()
        defer { authority.remove() }
        try authority.makeAuthority("other")
        try authority.makeCertificate("foreign", subject: "IP:127.0.0.1", authority: "other")
        try authority.makeCertificate("misnamed", subject: "DNS:elsewhere.test")
        try authority.makeCertificate("outdated", subject: "IP:127.0.0.1", days: -1)
        for certificate in ["foreign", "misnamed", "outdated"] {
            try await withServer(authority, certificate) { port in
                try await withTransport({ $0.caFile = authority.path("ca.pem") }) { transport in
                    try await expectRefusal(transport, port, certificate)
                }
            }
        }
    }

    @Test func `a given authority replaces those of the system, and without one ours is unknown`() async throws {
        let authority = try TestAuthority()
        defer { authority.remove() }
        try authority.makeCertificate("good", subject: "IP:127.0.0.1")
        try await withServer(authority, "good") { port in
            try await withTransport { transport in try await expectRefusal(transport, port, "system") }
            try await withTransport({ $0.caFile = authority.path("missing.pem") }) { transport in
                try await expectRefusal(transport, port, "missing")
            }
        }
    }

    @Test func `a server that knows only TLS 1_1 is refused`() async throws {
        let authority = try TestAuthority()
        defer { authority.remove() }
        try authority.makeCertificate("good", subject: "IP:127.0.0.1")
        try await withServer(authority, "good", tls: "TLSv1_1") { port in
            try await withTransport({ $0.caFile = authority.path("ca.pem") }) { transport in
                try await expectRefusal(transport, port, "old")
            }
        }
    }

    @Test func `a peer that is silent in the handshake is cut at the connect timeout`() async throws {
        // It reads the hello as the start of a request that never gets complete.
        let server = try ScriptedHTTPServer { _ in .hang }
        defer { server.stop() }
        try await withTransport({ $0.connectTimeout = .milliseconds(200) }) { transport in
            let error = try #require(await failure(transport, .get("https://127.0.0.1:\(server.port)/")))
            #expect(error == .timedOut(host: "127.0.0.1", phase: .connecting, after: .milliseconds(200)))
            #expect(!error.mayHaveReachedServer)
        }
    }

    @Test func `a peer that hangs up in the handshake is a reset before anything was sent`() async throws {
        let server = try ScriptedHTTPServer(resetsConnections: true) { _ in .hang }
        defer { server.stop() }
        try await withTransport { transport in
            let error = try #require(await failure(transport, .get("https://127.0.0.1:\(server.port)/")))
            #expect(error == .reset(host: "127.0.0.1", phase: .connecting))
            #expect(!error.mayHaveReachedServer)
        }
    }

    private func expectRefusal(_ transport: CurlTransport, _ port: Int, _ name: String) async throws {
        let error = try #require(await failure(transport, .get("https://127.0.0.1:\(port)/")))
        guard case .tls(host: "127.0.0.1", let message) = error else {
            Issue.record("\(name): unexpected \(error)")
            return
        }
        #expect(!message.isEmpty, "\(name)")
        #expect(!error.mayHaveReachedServer, "\(name)")
    }
}

@Suite(
    .timeLimit(.minutes(2)),
    .serialized,
    .enabled(
        if: TestAuthority.isAvailable && ChildProcess.exists("nghttpd"),
        "needs openssl and nghttpd (package nghttp2-server)"
    )
)
struct HTTP2Tests {
    private func withServer(_ body: (_ url: String, _ caFile: String) async throws -> Void) async throws {
        let authority = try TestAuthority()
        defer { authority.remove() }
        try authority.makeCertificate("good", subject: "DNS:api.test")
        let server = try ChildProcess([
            "nghttpd", "--address=127.0.0.1", "--htdocs=\(authority.directory)", "--echo-upload", "0",
            authority.path("good.key"), authority.path("good.pem"),
        ])
        defer { server.end() }
        #expect(await eventually { server.listeningPort != nil })
        let port = try #require(server.listeningPort)
        try await body("https://api.test:\(port)/good.pem", authority.path("ca.pem"))
    }

    private func configure(_ configuration: inout CurlConfiguration, caFile: String) {
        configuration.caFile = caFile
        configuration.maxConnectionsPerHost = 4
        configuration.resolver = NameResolver { _ in .success(["127.0.0.1"]) }
    }

    @Test func `HTTP 2 is negotiated and one connection carries many requests at once`() async throws {
        try await withServer { url, caFile in
            try await withTransport({ configure(&$0, caFile: caFile) }) { transport in
                let first = try await transport.send(.get(url))
                #expect(first.version == .http2)
                #expect(first.status == 200)
                #expect(first.text.contains("BEGIN CERTIFICATE"))
                for _ in 0..<5 {
                    await withTaskGroup(of: Void.self) { group in
                        for _ in 0..<200 {
                            group.addTask {
                                let response = try? await transport.send(.get(url))
                                #expect(response?.status == 200 && response?.version == .http2)
                            }
                        }
                    }
                }
                #expect(transport.openConnections <= 4)
                #expect(transport.inFlight == 0)
            }
        }
    }

    @Test func `a POST body and its echo pass over HTTP 2`() async throws {
        try await withServer { url, caFile in
            try await withTransport({ configure(&$0, caFile: caFile) }) { transport in
                let body = String(repeating: "0123456789", count: 20_000)
                let response = try await transport.send(.post(url, body: body))
                #expect(response.status == 200)
                #expect(response.text == body)
            }
        }
    }

    @Test func `a cancelled or oversized stream leaves the others on its connection alone`() async throws {
        try await withServer { url, caFile in
            try await withTransport({ configure(&$0, caFile: caFile) }) { transport in
                _ = try await transport.send(.get(url))
                await withTaskGroup(of: Void.self) { group in
                    for number in 0..<60 {
                        group.addTask {
                            var request = TransportRequest.get(url)
                            if number % 3 == 1 { request.maxResponseBytes = 10 }
                            let task = Task { [request] in try? await transport.send(request) }
                            if number % 3 == 2 { task.cancel() }
                            let response = await task.value
                            if number % 3 == 0 { #expect(response?.status == 200) }
                            if number % 3 == 1 { #expect(response == nil) }
                        }
                    }
                }
                try #require(try await transport.send(.get(url)).connectionReused)
                #expect(transport.inFlight == 0)
            }
        }
    }

    @Test func `HTTP 2 can be switched off`() async throws {
        try await withServer { url, caFile in
            try await withTransport({
                configure(&$0, caFile: caFile)
                $0.allowsHTTP2 = false
            }) { transport in
                // This server speaks nothing else and ends the connection.
                let error = await failure(transport, .get(url))
                #expect(error != nil)
            }
        }
    }
}
