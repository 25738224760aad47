internal import FakeE2B

// Drills about what sandboxes there are, beside what there should be.

extension DrillCatalogue {
    static let fleet = [
        Drill(
            alert: "SandboxManagerKillBacklogOld",
            cause: "the provider answers 500 to every kill, and a user gives a sandbox back",
            setup: unbroken,
            prepare: { _ = await $0.acquire("somebody") },
            provoke: { scene in
                try await scene.spoilProvider(FakeFault("kill", .status))
                _ = await scene.release("somebody")
            },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerCreatesUnresolved",
            cause: "the provider loses its answers to creates, and answers 500 to whoever asks what became of them",
            setup: unbroken,
            provoke: { scene in
                try await scene.spoilProvider(FakeFault("create", .drop, afterEffect: true))
                try await scene.spoilProvider(FakeFault("list", .status))
                _ = await scene.acquire("somebody")
            },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerCreateFailures",
            cause: "the provider answers 503 to every create",
            setup: unbroken,
            load: DrillLoad(visitors: 4),
            provoke: { try await $0.spoilProvider(FakeFault("create", .status, status: 503)) },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerTotalSlotsNearlyExhausted",
            cause: "users take all ten slots that there are",
            setup: DrillSetup(settings: ["LIMITS_TOTAL": "10"]),
            provoke: { scene in for index in 0..<10 { _ = await scene.acquire("holder-\(index)") } },
            mend: { scene in for index in 0..<10 { _ = await scene.release("holder-\(index)") } }
        ),
        Drill(
            alert: "SandboxManagerProviderDrift",
            cause: "a sandbox that is in no book runs at the provider, and the reconciler only observes",
            setup: observing(total: 100),
            prepare: { _ = await $0.acquire("somebody") },
            provoke: { try await $0.makeStrays(1) },
            mend: removeStrays
        ),
        Drill(
            alert: "SandboxManagerOrphansFound",
            cause: "six sandboxes that are in no book run at the provider, and the reconciler kills them",
            setup: DrillSetup(
                settings: ["RECONCILER_INTERVAL_SECONDS": "0.2", "RECONCILER_GRACE_SECONDS": "0.2"],
                needsCloud: true
            ),
            prepare: { _ = await $0.acquire("somebody") },
            provoke: { try await $0.makeStrays(6) },
            mend: removeStrays
        ),
        Drill(
            alert: "SandboxManagerOwnershipMismatch",
            cause: "the shared store names one user's sandbox as another's, who asks for it",
            setup: DrillSetup(needsCloud: true, needsRedis: true),
            prepare: { _ = await $0.acquire("owner") },
            provoke: { scene in
                guard let sandbox = try await scene.cloud().sandboxes.first else { throw DrillError("no sandbox") }
                // As an earlier manager noted it: nothing but the id.
                try await scene.askRedis("SET", "sandbox:stranger:demo", sandbox.id)
                _ = await scene.acquire("stranger")
            },
            mend: { _ = await $0.release("stranger") }
        ),
    ]

    /// The reconciler looks often, and puts nothing right.
    static func observing(total: Int) -> DrillSetup {
        DrillSetup(
            settings: [
                "RECONCILER_MODE": "observe", "RECONCILER_INTERVAL_SECONDS": "0.2", "RECONCILER_GRACE_SECONDS": "0.2",
                "LIMITS_TOTAL": "\(total)",
            ],
            needsCloud: true
        )
    }

    static let removeStrays: @Sendable (Scene) async throws -> Void = { try await $0.removeStrays() }
}
