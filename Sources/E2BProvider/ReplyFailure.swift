internal import CurlTransport
internal import HTTPTypes
internal import SandboxCore

/// What an error response of the control plane means.
///
/// Intermediaries answer too, with pages of their own: only a body of the API's shape is the API's word.
struct ReplyFailure {
    /// The longest wait that a server may wish.
    private static let longestWait = 86_400

    private let operation: ProviderOperation
    private let status: Int
    private let retryAfter: Duration?
    private let body: ErrorReply?
    private let words: String

    init(_ operation: ProviderOperation, _ response: TransportResponse, _ redactor: Redactor) {
        self.operation = operation
        status = response.status
        body = JSON.decode(ErrorReply.self, response.body)
        words = body.map { redactor.words($0.message) } ?? "a body that is not the API's"
        retryAfter = response.headers[.retryAfter]
            .flatMap { Int($0) }
            .flatMap { $0 >= 0 ? .seconds(min($0, Self.longestWait)) : nil }
    }

    /// Whether the API itself says that there is no such sandbox. An unknown route is a 404 of the same shape.
    static func saysGone(_ response: TransportResponse) -> Bool {
        guard response.status == 404, let body = JSON.decode(ErrorReply.self, response.body) else { return false }
        return body.code == 404 && !body.message.contains("no matching operation")
    }

    var error: ProviderError {
        ProviderError(operation, kind, "\(status): \(words)", effect: effect, retryAfter: retryAfter)
    }

    private var kind: ProviderError.Kind {
        switch status {
        // The message is the only difference that is always there; a wait is only wished for with a rate.
        case 429: body?.message.contains("concurrent") == true ? .concurrencyLimit : .rateLimited
        case 400...: .http(status: status)
        default: .malformed
        }
    }

    private var effect: ProviderError.Effect {
        switch operation {
        case .info, .list, .health: .none
        case .create: createEffect
        case .connect, .extend, .pause, .kill, .exec: isRefusal ? .none : .unknown
        }
    }

    private var createEffect: ProviderError.Effect {
        switch body?.errorCode {
        case "sandbox_create_failed", "sandbox_create_refused", "sandbox_capacity_unavailable",
            "sandbox_no_compatible_node":
            .none
        // An earlier attempt with the same key was made, or is being made.
        case "idempotency_in_progress", "idempotency_outcome_unknown", "idempotency_request_mismatch": .unknown
        // Nothing but an earlier attempt can be in conflict with a create, whatever it is called. A 503 that does not say
        // that there was no room may have come after the effect.
        default: isRefusal && status != 409 && status != 503 ? .none : .unknown
        }
    }

    /// Whether the status says that nothing was done.
    private var isRefusal: Bool {
        switch status {
        // "The server gave up waiting for the request" may come from a proxy that had passed it on.
        case 408: false
        case 400..<500: true
        // A proxy's own 503 may hide anything.
        case 503: body != nil
        default: false
        }
    }
}
