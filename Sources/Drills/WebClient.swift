internal import CurlTransport
internal import Foundation
internal import HTTPTypes

/// Requests of drills: to their daemons, their Prometheus and their provider.
final class WebClient: Sendable {
    struct Answer {
        var status: Int
        var body: [UInt8]

        func decoded<Value: Decodable>(as type: Value.Type) throws -> Value {
            try JSONDecoder().decode(type, from: Data(body))
        }
    }

    private let transport: CurlTransport

    init() throws {
        var configuration = CurlConfiguration()
        configuration.userAgent = "sandbox-manager-drill"
        configuration.maxConnectionsPerHost = 64
        configuration.maxTotalConnections = 512
        transport = try CurlTransport(configuration: configuration)
    }

    func close() async { await transport.close() }

    /// - Throws: `CurlError` for a request without an answer.
    func send(
        _ method: HTTPRequest.Method,
        _ url: String,
        body: String? = nil,
        headers: [String: String] = [:],
        deadline: Duration = .seconds(20)
    ) async throws -> Answer {
        var fields = HTTPFields()
        if body != nil { fields[.contentType] = "application/json" }
        for (name, value) in headers {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        let response = try await transport.send(
            TransportRequest(
                method: method,
                url: url,
                headers: fields,
                body: Array((body ?? "").utf8),
                deadline: deadline
            )
        )
        return Answer(status: response.status, body: response.body)
    }
}
