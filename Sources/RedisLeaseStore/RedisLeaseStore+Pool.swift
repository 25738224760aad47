internal import RedisClient
public import SandboxCore

extension RedisLeaseStore {
    /// See ``LeaseStore/claimWarm(_:)``.
    public func claimWarm(_ request: WarmClaimRequest) async throws(StoreError) -> WarmClaimOutcome {
        let answer = try await run(
            Scripts.claimWarm,
            [
                request.key.canonical, LeaseKey.warmPrefix(request.template), String(request.perUser),
                request.leastLife.text, request.idleTimeout.text,
            ]
        )
        switch answer.first {
        case "claimed": return .claimed(try answer.array(1).leaseRecord())
        case "empty": return .empty
        default: return .refused
        }
    }
}
