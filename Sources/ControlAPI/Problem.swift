internal import HTTPServer
internal import HTTPTypes
internal import SandboxCore

/// A problem document (RFC 9457): the closed-set `code`, words, and what a caller can act on.
struct Problem {
    var reason: ErrorReason
    var status: Int
    var detail: String
    var retryAfter: Duration?
    var limit: Int?
    var inUse: Int?
    var allow: String?
    var closesConnection = false

    init(_ reason: ErrorReason, _ detail: String) {
        self.reason = reason
        self.detail = detail
        status = reason.status
    }

    init(_ error: ManagerError) {
        self.init(error.reason, error.words)
        retryAfter = error.retryAfter
        if case .limited(let denial) = error {
            limit = denial.limit
            inUse = denial.inUse
        }
    }

    func response(requestID: String?) -> ServerResponse {
        // Whoever may come back is told when, even if nobody knows better than "soon".
        let wait = status == 429 || status == 503 ? (retryAfter ?? .seconds(1)) : retryAfter
        let body = JSONWriter.object { json in
            json.field("type", "about:blank")
            json.field("title", reason.title)
            json.field("status", status)
            json.field("code", reason.rawValue)
            json.field("detail", detail)
            if let wait { json.field("retry_after_seconds", wait.wholeSecondsUp) }
            if let limit { json.field("limit", limit) }
            if let inUse { json.field("in_use", inUse) }
            if let requestID { json.field("request_id", requestID) }
        }
        // A "not found" may be true for a moment only: no cache may keep it.
        var headers: HTTPFields = [.contentType: "application/problem+json", .cacheControl: "no-store"]
        if let wait { headers[.retryAfter] = String(wait.wholeSecondsUp) }
        if let allow { headers[.allow] = allow }
        if status == 401 { headers[.wwwAuthenticate] = "Bearer" }
        return ServerResponse(status: status, headers: headers, body: body, closeConnection: closesConnection)
    }
}

extension HTTPField.Name {
    /// `X-Request-Id`.
    static var requestID: HTTPField.Name { names.requestID }
    /// `Warning`.
    static var warning: HTTPField.Name { names.warning }

    private struct Names {
        var requestID: HTTPField.Name
        var warning: HTTPField.Name
    }

    private static let names: Names = {
        guard let requestID = HTTPField.Name("X-Request-Id"), let warning = HTTPField.Name("Warning") else {
            preconditionFailure("a constant header name is malformed")
        }
        return Names(requestID: requestID, warning: warning)
    }()
}

extension ErrorReason {
    /// The HTTP status.
    var status: Int {
        switch self {
        case .invalidArgument: 400
        case .unauthenticated: 401
        case .notFound, .routeNotFound: 404
        case .methodNotAllowed: 405
        case .staleEpoch: 409
        case .payloadTooLarge: 413
        case .unsupportedMediaType: 415
        case .headerTooLarge: 431
        case .userLimit, .rateLimited: 429
        case .healthCheckUnreachable, .healthCheckUnhealthy, .sandboxGone, .providerRejected, .providerUnauthorized,
            .providerProtocol:
            502
        case .totalLimit, .providerRateLimited, .providerQuota, .providerUnavailable, .breakerOpen, .storeUnavailable,
            .draining, .overloaded, .releasing, .creationInProgress, .cancelled:
            503
        case .healthCheckTimedOut, .connectTimedOut, .createTimedOut, .killTimedOut, .execTimedOut, .deadlineExceeded:
            504
        case .unsupported: 501
        case .internal: 500
        }
    }

    /// The code in words.
    var title: String {
        rawValue.split(separator: "_").joined(separator: " ")
    }
}

extension ManagerError.TimedOperation {
    fileprivate var words: String {
        switch self {
        case .healthCheck: "the health check"
        case .connect: "connecting to the sandbox"
        case .create: "creating the sandbox"
        case .kill: "ending the sandbox"
        case .exec: "the command"
        case .request: "the request"
        }
    }
}

extension Duration {
    /// `5 seconds`, `0.25 seconds`.
    fileprivate var secondsInWords: String {
        let seconds = inSeconds
        return seconds.rounded() == seconds ? "\(components.seconds) seconds" : "\(seconds) seconds"
    }
}

extension ManagerError {
    /// A sentence for the caller, without secrets.
    var words: String {
        switch self {
        case .invalidArgument(let detail), .unreachable(let detail), .unhealthy(let detail), .unsupported(let detail),
            .storeUnavailable(let detail), .internal(let detail):
            detail
        case .notFound: "this user and project have no sandbox"
        case .staleEpoch: "the lease was released or replaced meanwhile"
        case .limited(let denial) where denial.scope == .user:
            "the user holds \(denial.inUse) of \(denial.limit) sandboxes"
        case .limited(let denial): "\(denial.inUse) of \(denial.limit) sandboxes are in use"
        case .rateLimited: "the user creates sandboxes too fast"
        case .timedOut(let operation, let limit): "\(operation.words) took longer than \(limit.secondsInWords)"
        case .gone: "the sandbox has ended"
        case .provider(let error): error.detail
        case .breakerOpen: "the upstream fails and is given time to recover"
        case .draining: "the manager is shutting down"
        case .creationsStopped: "an operator stopped creations; leases that exist are served as before"
        case .overloaded: "too many requests are waiting"
        case .releasing: "the user's released sandbox still holds the slot"
        case .creationInProgress: "another manager is creating this sandbox"
        case .cancelled: "the request was given up"
        }
    }
}
