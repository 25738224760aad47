// Text for a terminal.

/// How the daemon stands, one thing a line.
struct StatusPage {
    let url: String
    let stats: StatsReply

    var text: String {
        let width = lines.map(\.name.count).max() ?? 0
        let body = lines.map { line in
            line.name + String(repeating: " ", count: width + 2 - line.name.count) + line.value
        }
        return (["sandbox-manager \(stats.version) at \(url)", ""] + body).map(\.printable).joined(separator: "\n")
    }

    private var lines: [(name: String, value: String)] {
        let ledger = stats.ledger
        return [
            ("ready", stats.draining ? "no: it is draining" : "yes"),
            ("creations", stats.creationsStopped ? "STOPPED by an operator" : "allowed"),
            ("provider", "\(stats.provider), breaker \(stats.breakers.provider); \(listing)"),
            ("store", "\(stats.storeMode), breaker \(stats.breakers.store)"),
            ("slots", "\(stats.slotsInUse) of \(stats.limitTotal) in use; \(busiest)"),
            (
                "leases",
                "\(ledger.leased) running, \(ledger.paused) paused, \(ledger.creating) being created, \(ledger.warm) warm"
            ),
            ("outbox", queue(ledger.killing, "dying", ledger.oldestKillSeconds)),
            ("intents", queue(stats.openIntents, "open", ledger.oldestIntentSeconds)),
            ("locks", locks),
            ("drift", drift),
            ("in flight", counted(stats.operationsInFlight, "operation")),
            ("requests", "\(stats.requests) acquires, \(share) from memory, \(stats.rejected) refused"),
            ("sandboxes", "\(stats.created) created, \(stats.cleanedUp) cleaned up"),
            ("loops", loops),
        ]
    }

    private var listing: String {
        let listing = stats.providerLastListing
        return "last listed \(listing.running) running, \(listing.paused) paused"
    }

    private var busiest: String { "the busiest user holds \(stats.mostSlotsOfOneUser) of \(stats.limitPerUser)" }

    private var locks: String {
        let locks = stats.locks
        let age = locks.held == 0 ? "" : " (the oldest for \(locks.oldestHoldSeconds.inWords))"
        return "\(locks.held) held\(age), \(locks.waiters) waiting, \(locks.idle) idle"
    }

    private var drift: String {
        let drift = stats.drift
        return "\(drift.untrackedAtProvider) untracked at the provider, \(drift.missingAtProvider) missing there, "
            + "\(drift.storeOnly) in the store only"
    }

    private var share: String { "\((stats.hitRate * 100).wholeText) %" }

    private var loops: String {
        stats.loops
            .map { "\($0.loop) \($0.lastSuccess.map { "ended well at \($0.toTheSecond)" } ?? "has not run yet")" }
            .joined(separator: "; ")
    }

    private func queue(_ count: Int, _ what: String, _ oldestSeconds: Double) -> String {
        count == 0 ? "0 \(what)" : "\(count) \(what), the oldest for \(oldestSeconds.inWords)"
    }
}

/// Leases as a table.
enum LeasePage {
    static func text(_ leases: [LeaseReply]) -> String {
        guard !leases.isEmpty else { return "no leases" }
        let head = ["USER", "PROJECT", "SANDBOX", "STATE", "EPOCH", "CREATED", "LAST USED", "ENDS"]
        let rows = leases.map { lease in
            [
                lease.userId, lease.projectId, lease.sandboxId, lease.state, String(lease.epoch),
                lease.createdAt.toTheSecond, lease.lastUsedAt.toTheSecond, lease.expiresAt.toTheSecond,
            ]
        }
        return aligned([head] + rows)
    }

    /// Columns as wide as their widest cell; every row has as many cells as the first.
    static func aligned(_ rows: [[String]]) -> String {
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            let cells = row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            return cells.joined(separator: "  ").printable
        }
        return lines.joined(separator: "\n")
    }
}

/// `1 lease`, `2 leases`.
func counted(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

extension String {
    /// A timestamp without its fraction.
    var toTheSecond: String {
        guard let dot = firstIndex(of: "."), last == "Z" else { return self }
        return self[..<dot] + "Z"
    }
}

extension Double {
    /// Seconds for eyes: `0.3 s`, `12 s`, `4 min`.
    var inWords: String {
        if self < 10 { return "\((self * 10).rounded() / 10) s" }
        return self < 120 ? "\(wholeText) s" : "\((self / 60).wholeText) min"
    }

    /// Rounded. What answers may be no daemon at all, so that the number may be greater than any `Int`.
    fileprivate var wholeText: String { Int(exactly: rounded()).map { "\($0)" } ?? "\(self)" }
}
