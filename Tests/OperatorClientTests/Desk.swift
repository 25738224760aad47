import Synchronization

@testable import OperatorClient

/// A daemon that answers what the test has laid ready, and an operator who notes what they see.
final class Desk: Sendable {
    private struct State {
        var answers: [Result<OperatorReply, OperatorError>] = []
        var requests: [OperatorRequest] = []
        var shown: [String] = []
    }

    private let state = Mutex(State())

    /// - Parameter answers: One for each request; the last one again and again.
    init(_ answers: Result<OperatorReply, OperatorError>...) { state.withLock { $0.answers = answers } }

    var client: OperatorClient {
        OperatorClient(url: "http://daemon.test:1") { request in
            self.state.withLock { state in
                state.requests.append(request)
                return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
            }
        }
    }

    func show(_ text: String) { state.withLock { $0.shown.append(text) } }

    var shown: [String] { state.withLock { $0.shown } }
    /// `METHOD path` of each request.
    var requests: [String] { state.withLock { $0.requests.map { "\($0.method) \($0.path)" } } }
}

extension Result where Success == OperatorReply, Failure == OperatorError {
    static func reply(_ status: Int, _ body: String = "") -> Self {
        .success(OperatorReply(status: status, body: Array(body.utf8)))
    }

    static func standing(inFlight: Int, draining: Bool = true) -> Self {
        .reply(
            200,
            #"{"draining":\#(draining),"creations_stopped":false,"operations_in_flight":\#(inFlight),"leases":2}"#
        )
    }

    static func page(_ users: [String], cursor: String? = nil) -> Self {
        let leases = users.map { user in
            """
            {"sandbox_id":"sb-\(user)","user_id":"\(user)","project_id":"p","epoch":1,"provider":"local",
            "template":"base","state":"running","created_at":"2026-01-02T03:04:05.678Z",
            "last_used_at":"2026-01-02T03:05:05.678Z","expires_at":"2026-01-02T03:20:05Z"}
            """
        }
        let next = cursor.map { "\"\($0)\"" } ?? "null"
        return .reply(200, #"{"sandboxes":[\#(leases.joined(separator: ","))],"next_cursor":\#(next)}"#)
    }
}
