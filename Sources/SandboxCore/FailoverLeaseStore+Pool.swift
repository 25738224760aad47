// The warm pool is the fleet's: alone, a process neither fills it nor takes from it.

extension FailoverLeaseStore {
    /// See ``LeaseStore/claimWarm(_:)``.
    public func claimWarm(_ request: WarmClaimRequest) async throws(StoreError) -> WarmClaimOutcome {
        try await ask { store throws(StoreError) in
            try await store.claimWarm(request)
        } alone: { _ in
            .refused
        }
    }
}

extension LimitDenial {
    /// What the pool is told while the shared store is away.
    static let noPoolAlone = LimitDenial(scope: .total, limit: 0, inUse: 0, releasing: 0)
}
