internal import FakeE2B

// Drills about the warm pool.

extension DrillCatalogue {
    static let pool = [
        Drill(
            alert: "SandboxManagerWarmPoolEmpty",
            cause: "the provider has no room for creates, and users take what the warm pool has",
            setup: pooled,
            prepare: untilFilled,
            provoke: drainPool,
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerWarmPoolRefillFailing",
            cause: "the provider has no room for creates, and users take what the warm pool has",
            setup: pooled,
            prepare: untilFilled,
            provoke: drainPool,
            mend: mendProvider
        ),
    ]

    private static let target = 10
    private static let pooled = DrillSetup(
        settings: unbroken.settings.merging([
            "POOL_TARGET": "\(target)", "POOL_PER_SECOND": "\(target)",
            // Else what it last saw at the provider is too old, sped up.
            "RECONCILER_INTERVAL_SECONDS": "0.5",
        ]) { $1 },
        needsCloud: true
    )

    private static let untilFilled: @Sendable (Scene) async throws -> Void = { scene in
        let cloud = try await scene.cloud()
        try await Pause.until("the warm pool has \(target) sandboxes", within: .seconds(20)) {
            cloud.sandboxes.count >= target ? () : nil
        }
    }

    private static let drainPool: @Sendable (Scene) async throws -> Void = { scene in
        try await scene.spoilProvider(FakeFault("create", .status, status: 503))
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<target { group.addTask { _ = await scene.acquire("taker-\(index)") } }
        }
    }
}
