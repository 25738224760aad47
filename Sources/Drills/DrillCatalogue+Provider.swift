internal import FakeE2B

// Drills with a provider that misbehaves.

extension DrillCatalogue {
    /// Calls to the provider end soon and are tried again soon, and the breaker keeps out of it.
    static let unbroken = DrillSetup(
        settings: [
            "CREATE_TIMEOUT_SECONDS": "0.5", "CREATE_RETRY_DELAY_SECONDS": "0.05", "CONNECT_TIMEOUT_SECONDS": "0.5",
            "KILL_TIMEOUT_SECONDS": "0.5", "BREAKER_MINIMUM_CALLS": "1000000",
        ],
        needsCloud: true
    )

    static let mendProvider: @Sendable (Scene) async throws -> Void = { try await $0.mendProvider() }

    static let provider = [
        Drill(
            alert: "SandboxManagerBreakerOpen",
            cause: "the provider answers 500 to every create",
            // Half open, it waits for the next user; that should not be most of the time.
            setup: DrillSetup(
                settings: ["CREATE_RETRY_DELAY_SECONDS": "0.05", "BREAKER_OPEN_SECONDS": "2"],
                needsCloud: true
            ),
            load: DrillLoad(visitors: 8),
            provoke: { try await $0.spoilProvider(FakeFault("create", .status)) },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerProviderRateLimited",
            cause: "the provider answers 429 to every kill, and users give twenty sandboxes back",
            setup: unbroken,
            prepare: { scene in for index in 0..<20 { _ = await scene.acquire("holder-\(index)") } },
            provoke: { scene in
                try await scene.spoilProvider(FakeFault("kill", .status, status: 429))
                await scene.releaseAll((0..<20).map { "holder-\($0)" })
            },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerProviderUnauthorized",
            cause: "the provider answers 401 to everything",
            setup: unbroken,
            load: DrillLoad(visitors: 4),
            provoke: { try await $0.spoilProvider(FakeFault("*", .status, status: 401)) },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerRetryStorm",
            cause: "the provider answers 500 to every kill while users come and go",
            setup: unbroken,
            load: DrillLoad(visitors: 8),
            provoke: { try await $0.spoilProvider(FakeFault("kill", .status)) },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerRetriesExhausted",
            cause: "the provider answers 503 to every create",
            setup: unbroken,
            load: DrillLoad(visitors: 4),
            provoke: { try await $0.spoilProvider(FakeFault("create", .status, status: 503)) },
            mend: mendProvider
        ),
    ]

    /// A create that takes as long as it may: sped up, a lock may be held for 1.25 s and waited for for 0.5 s.
    private static let patient = DrillSetup(
        settings: [
            "CREATE_TIMEOUT_SECONDS": "4", "CREATE_RETRIES": "0", "REQUEST_DEADLINE_SECONDS": "8",
            "BREAKER_MINIMUM_CALLS": "1000000",
        ],
        needsCloud: true
    )

    static let locks = [
        Drill(
            alert: "SandboxManagerOldestWaiterTooOld",
            cause: "the provider answers no create, and users ask for the same sandbox again and again",
            setup: patient,
            load: DrillLoad(regulars: 4, regularsComeTwice: true),
            provoke: { try await $0.spoilProvider(FakeFault("create", .hang)) },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerUserLockHeldTooLong",
            cause: "the provider answers no create",
            setup: patient,
            load: DrillLoad(regulars: 4),
            provoke: { try await $0.spoilProvider(FakeFault("create", .hang)) },
            mend: mendProvider
        ),
    ]
}
