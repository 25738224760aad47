/// Every drill there is.
public enum DrillCatalogue {
    /// The alerts that can be drilled, each with its cause in a sentence, in the order of their drills.
    public static var entries: [(alert: String, cause: String)] { all.map { ($0.alert, $0.cause) } }

    static let all: [Drill] = [
        leaks, availability, process, locks, fleet, pool, provider, store, objectives,
    ].flatMap(\.self)

    /// - Throws: If there is no drill for it; the message says which there are.
    static func drill(_ alert: String) throws -> Drill {
        guard let found = all.first(where: { $0.alert == alert || $0.alert == "SandboxManager\(alert)" }) else {
            throw DrillError("there is no drill for \(alert); see sandbox-manager drill --list")
        }
        return found
    }

    private static let leakSwitch = "the lock leak of an earlier implementation is switched on, and users come and go"

    private static let leaks = [
        Drill.byFault("SandboxManagerUserLocksUnbounded", "user-lock-leak", cause: leakSwitch),
        Drill.byFault("SandboxManagerUserLockForgotten", "user-lock-leak", cause: leakSwitch),
        creeping,
        Drill(
            alert: "SandboxManagerCollectionStale",
            cause: "a sandbox that is in no book is only observed, so it stays on the watch list",
            setup: observing(total: 10),
            prepare: { _ = await $0.acquire("somebody") },
            provoke: { try await $0.makeStrays(1) },
            mend: removeStrays
        ),
        Drill(
            alert: "SandboxManagerCollectionNearLimit",
            cause: "nine sandboxes that are in no book are only observed, where ten may be watched",
            setup: observing(total: 10),
            prepare: { _ = await $0.acquire("somebody") },
            provoke: { try await $0.makeStrays(9) },
            mend: removeStrays
        ),
    ]

    /// It compares two days with each other, so a day has to be some seconds.
    private static let creeping: Drill = {
        var drill = Drill.byFault("SandboxManagerUserLocksCreeping", "user-lock-leak", cause: leakSwitch)
        drill.speedup = 21_600
        return drill
    }()

    private static let availability = [
        Drill(
            alert: "SandboxManagerDown",
            cause: "the daemon is killed",
            provoke: { await $0.crashDaemon() },
            mend: { try await $0.startDaemon() }
        ),
        Drill(
            alert: "SandboxManagerScrapeFailing",
            cause: "the daemon hangs for half a second again and again, so that some scrapes end without an answer",
            provoke: { scene in
                while !Task.isCancelled {
                    await scene.freezeDaemon()
                    try? await Task.sleep(for: .milliseconds(450))
                    await scene.thawDaemon()
                    try? await Task.sleep(for: .milliseconds(100))
                }
            },
            mend: { await $0.thawDaemon() }
        ),
        Drill.byFault(
            "SandboxManagerLoopStalled",
            "reaper-failure",
            cause: "every round of the reaper fails",
            settings: ["REAPER_INTERVAL_SECONDS": "0.2"],
            load: .none
        ),
        Drill.byFault(
            "SandboxManagerHealthCheckTimeouts",
            "health-check-hang",
            cause: "probes of sandboxes are never answered",
            settings: ["HEALTH_TIMEOUT_SECONDS": "0.1", "HEALTH_FRESH_WINDOW_SECONDS": "0"]
        ),
        Drill.byFault(
            "SandboxManagerFaultInjectionActive",
            "reaper-failure",
            cause: "a fault switch is on",
            load: .none
        ),
    ]

    private static let store = [
        Drill(
            alert: "SandboxManagerStoreDegraded",
            cause: "Redis is killed",
            setup: DrillSetup(needsRedis: true),
            load: .usual,
            provoke: { await $0.crashRedis() },
            mend: { try await $0.startRedis() }
        ),
        Drill(
            alert: "SandboxManagerRedisErrors",
            cause: "Redis is full again and again, for a tenth of a second, and refuses what would make it grow",
            setup: DrillSetup(needsRedis: true),
            load: .usual,
            provoke: { scene in
                // For good it would be away, and another alert's affair.
                while !Task.isCancelled {
                    try await scene.askRedis("CONFIG", "SET", "maxmemory", "1")
                    try? await Task.sleep(for: .milliseconds(100))
                    try await scene.askRedis("CONFIG", "SET", "maxmemory", "0")
                    try? await Task.sleep(for: .milliseconds(300))
                }
            },
            mend: { try await $0.askRedis("CONFIG", "SET", "maxmemory", "0") }
        ),
    ]
}
