/// What an operator asks of and tells a running daemon. Every method returns text for a terminal.
public struct OperatorClient: Sendable {
    /// The most leases that the daemon puts on a page.
    private static let pageLimit = 1000

    private let url: String
    private let exchange: Exchange

    /// - Parameters:
    ///   - url: The daemon's address, for the eyes.
    ///   - exchange: How to ask it.
    public init(url: String, exchange: @escaping Exchange) {
        self.url = url
        self.exchange = exchange
    }

    // MARK: Questions

    /// How the daemon stands: a page for eyes, or its own words.
    public func status(asJSON: Bool = false) async throws(OperatorError) -> String {
        let reply = try await ask("GET", "/v1/stats")
        return asJSON ? reply.text : StatusPage(url: url, stats: try reply.decoded()).text
    }

    /// Leases, page after page until there is no more or `limit` is reached.
    ///
    /// - Parameters:
    ///   - user: Only this user's, if given.
    ///   - limit: The most leases; all if `nil`. More than zero.
    ///   - asJSON: The daemon's own words, one page a line.
    ///   - show: Called with each part of the answer as it comes.
    /// - Throws: What goes wrong at any page; those before have been shown.
    public func list(
        user: String? = nil,
        limit: Int? = nil,
        asJSON: Bool = false,
        _ show: (String) -> Void
    ) async throws(OperatorError) {
        if let limit, limit < 1 { throw .usage("--limit must be more than zero") }
        var cursor: String?
        var shown: [LeaseReply] = []
        repeat {
            let rest = limit.map { $0 - shown.count } ?? Self.pageLimit
            var query = "limit=\(min(rest, Self.pageLimit))"
            if let user { query += "&user_id=\(user.escapedForURL)" }
            if let cursor { query += "&cursor=\(cursor.escapedForURL)" }
            let reply = try await ask("GET", "/v1/sandboxes?\(query)")
            let page: ListReply = try reply.decoded()
            if asJSON { show(reply.text) }
            shown += page.sandboxes
            // A cursor that does not move would be followed for ever.
            guard page.nextCursor != cursor else { break }
            cursor = page.nextCursor
        } while cursor != nil && shown.count < limit ?? .max
        guard !asJSON else { return }
        show(LeasePage.text(shown))
        if cursor != nil { show("There are more; raise --limit.") }
    }

    /// Why a key is in its state: the daemon's sentences, then what happened.
    public func explain(user: String, project: String, asJSON: Bool = false) async throws(OperatorError) -> String {
        let reply = try await ask("GET", "/v1/explain/\(user.escapedForURL)/\(project.escapedForURL)")
        guard !asJSON else { return reply.text }
        let explanation: ExplainReply = try reply.decoded()
        let events = explanation.events.map { "  \($0.at.toTheSecond)  \($0.event)" }
        let story = events.isEmpty ? [] : ["", "What happened:"] + events
        return (explanation.summary + story).map(\.printable).joined(separator: "\n")
    }

    // MARK: Commands

    /// Ends the lease of a key.
    ///
    /// - Returns: `released`, or `releasing` if the death is not confirmed yet.
    public func release(user: String, project: String) async throws(OperatorError) -> String {
        let path = "/v1/users/\(user.escapedForURL)/projects/\(project.escapedForURL)/sandbox"
        // Longer than the daemon works on any request.
        let reply = try await ask("DELETE", path, deadline: .seconds(120))
        return reply.status == 204 ? "released" : "releasing"
    }

    /// Has the daemon refuse to make sandboxes until ``resumeCreates()``.
    public func stopCreates() async throws(OperatorError) -> String {
        let standing: StandingReply = try await ask("POST", "/v1/admin/stop-creates").decoded()
        return "creations are stopped; leases that exist (\(standing.leases)) are served as before"
    }

    /// Has the daemon make sandboxes again.
    public func resumeCreates() async throws(OperatorError) -> String {
        let standing: StandingReply = try await ask("POST", "/v1/admin/resume-creates").decoded()
        return standing.draining
            ? "creations are allowed, but the daemon is draining: it starts nothing new"
            : "creations are allowed"
    }

    /// Has the daemon refuse new work, and waits until nothing is in flight. Leases live on, and so does the process.
    ///
    /// - Parameters:
    ///   - limit: The longest wait.
    ///   - pause: Waits a moment between questions.
    ///   - show: Called whenever the number of operations in flight changed.
    /// - Returns: What is left.
    /// - Throws: `.unfinished` if something is still in flight at the limit; the daemon goes on draining.
    public func drain(
        within limit: Duration,
        pause: () async -> Void = { try? await Task.sleep(for: .milliseconds(200)) },
        _ show: (String) -> Void
    ) async throws(OperatorError) -> String {
        let start = ContinuousClock.now
        var last: Int?
        while true {
            let standing: StandingReply = try await ask("POST", "/v1/admin/drain").decoded()
            let inFlight = standing.operationsInFlight
            if inFlight == 0 {
                return "drained: nothing is in flight; leases (\(standing.leases)) live on; end the process at will"
            }
            if inFlight != last { show("draining: \(counted(inFlight, "operation")) in flight") }
            last = inFlight
            guard ContinuousClock.now - start < limit else {
                throw .unfinished("still \(counted(inFlight, "operation")) in flight; the daemon goes on draining")
            }
            await pause()
        }
    }

    // MARK: Asking

    private func ask(
        _ method: String,
        _ path: String,
        deadline: Duration = .seconds(30)
    ) async throws(OperatorError) -> OperatorReply {
        let reply = try await exchange(OperatorRequest(method: method, path: path, deadline: deadline)).get()
        guard (200..<300).contains(reply.status) else { throw Self.refusal(reply) }
        return reply
    }

    private static func refusal(_ reply: OperatorReply) -> OperatorError {
        do throws(OperatorError) {
            let problem: ProblemReply = try reply.decoded()
            return .refused(code: problem.code, detail: problem.detail)
        } catch {
            // Something in between answered.
            return .refused(code: "http_\(reply.status)", detail: "the answer is no problem document")
        }
    }
}

extension String {
    /// As one segment of a path or one value of a query: ids may have `|`, `+` and `=`.
    var escapedForURL: String {
        var escaped = ""
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                escaped += byte < 16 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return escaped
    }
}
