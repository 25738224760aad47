internal import FakeE2B

// Drills about the process itself, and about what users were promised.

extension DrillCatalogue {
    static let process = [
        Drill(
            alert: "SandboxManagerRestartingOften",
            cause: "the daemon is killed and started again five times",
            sideEffects: Drill.restart,
            provoke: { scene in
                for _ in 0..<5 {
                    try await scene.restartDaemon()
                    // Long enough to be scraped.
                    try await Task.sleep(for: .milliseconds(800))
                }
            },
            mend: { _ in }
        ),
        Drill(
            alert: "SandboxManagerFileDescriptorsLow",
            cause: "the daemon may open 120 files, and clients keep 90 connections open",
            provoke: { scene in
                try await scene.limitDescriptors(120)
                try await scene.openConnections(90)
            },
            mend: { await $0.closeConnections() }
        ),
        Drill(
            alert: "SandboxManagerHeapBeyondBudget",
            cause: "each of 1500 leases carries an environment of 60 KB, which no budget foresees",
            setup: DrillSetup(settings: ["LIMITS_TOTAL": "5000"]),
            sideEffects: Drill.restart,
            provoke: { await $0.acquireHeavily(1500) },
            mend: { try await $0.restartDaemon() }
        ),
        Drill(
            alert: "SandboxManagerMemoryRegressionAfterRelease",
            cause: "after days of leases without any, a new release has leases with an environment of 60 KB",
            speedup: 21_600,
            prepare: { scene in
                for index in 0..<50 { _ = await scene.acquire("light-\(index)") }
                // Two days and a bit, of which the old release is judged by.
                try await Task.sleep(for: .seconds(10))
            },
            provoke: { scene in
                try await scene.restartDaemon(changes: ["BUILD_REVISION": "next"])
                await scene.acquireHeavily(400)
            },
            mend: { try await $0.restartDaemon() }
        ),
    ]

    static let objectives = [
        Drill(
            alert: "SandboxManagerAcquireErrorBudgetFastBurn",
            cause: "the provider answers 503 to every create",
            setup: unbroken,
            load: DrillLoad(visitors: 4),
            provoke: { try await $0.spoilProvider(FakeFault("create", .status, status: 503)) },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerAcquireErrorBudgetSlowBurn",
            cause: "the provider answers 503 to every create",
            // Its windows are hours long; in turn it is scraped more often, so that short ones still mean something.
            speedup: 1200,
            interval: .milliseconds(50),
            setup: unbroken,
            load: DrillLoad(visitors: 4),
            // On a busy machine a scrape takes longer than the 50 ms that it may.
            sideEffects: ["SandboxManagerDown", "SandboxManagerScrapeFailing"],
            provoke: { try await $0.spoilProvider(FakeFault("create", .status, status: 503)) },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerAcquireLatencyBudgetBurn",
            cause: "the provider takes three seconds for every create",
            setup: DrillSetup(needsCloud: true),
            load: DrillLoad(visitors: 8),
            provoke: { try await $0.spoilProvider(FakeFault("create", .latency, milliseconds: 3000)) },
            mend: mendProvider
        ),
        Drill(
            alert: "SandboxManagerIdleSpendHigh",
            cause: "the provider answers 500 to every kill, and users give sixty sandboxes back",
            // The reconciler is what counts the bill.
            setup: DrillSetup(
                settings: unbroken.settings.merging(["RECONCILER_INTERVAL_SECONDS": "0.2"]) { $1 },
                needsCloud: true
            ),
            prepare: { scene in for index in 0..<60 { _ = await scene.acquire("holder-\(index)") } },
            provoke: { scene in
                try await scene.spoilProvider(FakeFault("kill", .status))
                await scene.releaseAll((0..<60).map { "holder-\($0)" })
            },
            mend: { scene in
                try await scene.mendProvider()
                // It is a share of six hours: those who use theirs make it smaller sooner than time does.
                for index in 0..<200 { _ = await scene.acquire("busy-\(index)") }
            }
        ),
    ]
}
