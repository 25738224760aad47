internal import FoundationEssentials

// The daemon's replies, as far as they are shown. What an older daemon does not say is left out.

struct StatsReply: Decodable {
    struct Ledger: Decodable {
        var creating: Int
        var leased: Int
        var paused: Int
        var warm: Int
        var killing: Int
        var oldestKillSeconds: Double
        var oldestIntentSeconds: Double
    }

    struct Locks: Decodable {
        var held: Int
        var idle: Int
        var waiters: Int
        var oldestHoldSeconds: Double
    }

    struct Breakers: Decodable {
        var provider: String
        var store: String
    }

    struct Listing: Decodable {
        var running: Int
        var paused: Int
    }

    struct Drift: Decodable {
        var untrackedAtProvider: Int
        var missingAtProvider: Int
        var storeOnly: Int
    }

    struct Loop: Decodable {
        var loop: String
        var lastSuccess: String?
    }

    var version: String
    var provider: String
    var storeMode: String
    var draining: Bool
    var creationsStopped: Bool
    var requests: Int
    var created: Int
    var cleanedUp: Int
    var rejected: Int
    var hitRate: Double
    var slotsInUse: Int
    var limitTotal: Int
    var limitPerUser: Int
    var mostSlotsOfOneUser: Int
    var openIntents: Int
    var operationsInFlight: Int
    var ledger: Ledger
    var locks: Locks
    var breakers: Breakers
    var providerLastListing: Listing
    var drift: Drift
    var loops: [Loop]
}

struct StandingReply: Decodable {
    var draining: Bool
    var creationsStopped: Bool
    var operationsInFlight: Int
    var leases: Int
}

struct LeaseReply: Decodable {
    var sandboxId: String
    var userId: String
    var projectId: String
    var epoch: Int
    var state: String
    var createdAt: String
    var lastUsedAt: String
    var expiresAt: String
}

struct ListReply: Decodable {
    var sandboxes: [LeaseReply]
    var nextCursor: String?
}

struct ExplainReply: Decodable {
    struct Event: Decodable {
        var at: String
        var event: String
    }

    var summary: [String]
    var events: [Event]
}

struct ProblemReply: Decodable {
    var code: String
    var detail: String
}

extension OperatorReply {
    func decoded<Value: Decodable>(_ type: Value.Type = Value.self) throws(OperatorError) -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(type, from: Data(body))
        } catch {
            throw .refused(code: "unreadable", detail: "the answer is not that of a sandbox-manager of this version")
        }
    }

    var text: String { String(decoding: body, as: UTF8.self) }
}
