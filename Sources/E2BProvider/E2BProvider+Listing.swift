internal import CurlTransport
internal import HTTPTypes
public import SandboxCore

// Listings: every page, or an error; never a part of the truth.

extension E2BProvider {
    /// All sandboxes that match, running and paused, over all pages.
    ///
    /// - Throws: `.malformed` rather than a short answer: for an item that cannot be read, for pages that go in a
    ///   circle, for more pages than configured.
    public func list(_ filter: SandboxFilter, timeout: Duration) async throws(ProviderError) -> [SandboxInfo] {
        let deadline = Deadline(timeout, time)
        var found: [SandboxInfo] = []
        var seen: Set<SandboxID> = []
        var tokens: Set<String> = []
        var token: String?
        for _ in 0..<configuration.maxPages {
            let response = try await page(filter, state: "running,paused", limit: 100, after: token, deadline)
            for info in try read(response) where LabelMetadata.matches(filter, info.metadata) {
                // A sandbox that starts meanwhile shifts the pages, and one may be seen twice.
                if seen.insert(info.sandbox.id).inserted { found.append(labelled(info, filter)) }
            }
            guard let next = response.headers[.nextToken], !next.isEmpty else { return found }
            guard tokens.insert(next).inserted else {
                throw ProviderError(.list, .malformed, "the pages go in a circle", effect: .none)
            }
            token = next
        }
        throw ProviderError(.list, .malformed, "more than \(configuration.maxPages) pages", effect: .none)
    }

    /// How many matching sandboxes run, by the API's own count (`X-Total-Running`); one small request.
    ///
    /// - Throws: `.malformed` when the API does not say.
    public func runningCount(_ filter: SandboxFilter, timeout: Duration) async throws(ProviderError) -> Int {
        let response = try await page(filter, state: "running", limit: 1, after: nil, Deadline(timeout, time))
        guard let total = response.headers[.totalRunning].flatMap({ Int($0) }), total >= 0 else {
            throw ProviderError(.list, .malformed, "no total in the reply", effect: .none)
        }
        return total
    }

    private func page(
        _ filter: SandboxFilter,
        state: String,
        limit: Int,
        after token: String?,
        _ deadline: Deadline
    ) async throws(ProviderError) -> TransportResponse {
        var path = "/v2/sandboxes?metadata=\(MetadataFilter.encode(LabelMetadata.pairs(filter)))"
        path += "&state=\(MetadataFilter.percent(state))&limit=\(limit)"
        if let token { path += "&nextToken=\(MetadataFilter.percent(token))" }
        let response = try await api.send(.list, .get, path, deadline)
        guard response.status == 200 else { throw api.failure(.list, response) }
        return response
    }

    private func read(_ response: TransportResponse) throws(ProviderError) -> [SandboxInfo] {
        guard let details = JSON.decode([DetailReply].self, response.body) else {
            throw ProviderError(.list, .malformed, "a listing that cannot be read", effect: .none)
        }
        var infos: [SandboxInfo] = []
        for detail in details {
            guard let info = described(detail, response) else {
                throw ProviderError(.list, .malformed, "a sandbox that cannot be read", effect: .none)
            }
            infos.append(info)
        }
        return infos
    }

    /// The asker knows the environment by its name, even where the metadata has only its digest.
    private func labelled(_ info: SandboxInfo, _ filter: SandboxFilter) -> SandboxInfo {
        var info = info
        switch filter {
        case .environment(let name), .token(_, let name), .key(_, let name): info.labels?.environment = name
        }
        return info
    }
}
