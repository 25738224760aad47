import SandboxCore

@testable import RedisClient
@testable import RedisLeaseStore

extension FuzzTarget {
    /// What scripts answer: any tree of values, and records that were written by ourselves.
    static let redisReplies = FuzzTarget(name: "redis-replies") { bytes in
        var dice = Dice(bytes)
        return dice.below(2) == 0 ? treeFindings(&dice) : recordFindings(&dice)
    }

    /// URLs of Redis: any text, and those put together from parts.
    static let redisURLs = FuzzTarget(name: "redis-urls") { bytes in
        var findings = Findings()
        let parts = lines(bytes)
        if let endpoint = try? RedisEndpoint(url: parts[0]), let password = endpoint.password?.text {
            findings.expect(!"\(endpoint)".contains(password) || password.utf8.count < 6, "a password is shown (S6)")
        }
        guard parts.count >= 3, !parts[1].isEmpty, !parts[1].utf8.contains(0), !parts[2].utf8.contains(0) else {
            return findings.words
        }
        // Whatever user and password are: written with escapes, they are read back.
        let (password, user) = (parts[1], parts[2])
        for (scheme, rest) in [("redis", "h:1/3"), ("unix", "/p?db=3"), ("redis+sentinel", "h,i:2/m/3")] {
            let endpoint = try? RedisEndpoint(url: "\(scheme)://\(escaped(user)):\(escaped(password))@\(rest)")
            findings.expectEqual(endpoint?.user, user.isEmpty ? nil : user, "the user of \(scheme)")
            findings.expectEqual(endpoint?.password?.text, password, "the password of \(scheme)")
            findings.expectEqual(endpoint?.database, 3, "the database of \(scheme)")
        }
        return findings.words
    }

    private static func treeFindings(_ dice: inout Dice) -> [String] {
        let answer = Answer(value(&dice, depth: 0))
        var findings = Findings()
        if let record = try? answer.leaseRecord() {
            // Anything that is read can be told to the store again.
            findings.expectEqual(record.fields.count, 13, "the fields of a record")
            _ = Duration.zero - record.age - record.idle + record.idleTimeout + record.sandbox.remainingLife
        }
        _ = try? answer.reservationRecord()
        _ = try? answer.rows { row throws(StoreError) in try row.leaseRecord() }
        _ = try? answer.rows { row throws(StoreError) in try row.key(0) }
        _ = try? answer.texts(from: 1)
        for index in -1...answer.count {
            _ = try? answer.number(index)
            _ = try? answer.duration(index).text
            _ = try? answer.duration(index).lifeText
            _ = try? answer.epochIfAny(index)
            _ = try? answer.flag(index)
        }
        return findings.words
    }

    private static func value(_ dice: inout Dice, depth: Int) -> RedisValue {
        switch dice.below(depth < 4 ? 7 : 5) {
        case 0: .bulk(dice.bytes())
        case 1: .bulk(Array(String(Int64(truncatingIfNeeded: dice.word())).utf8))
        case 2: .null
        case 3: .integer(Int64(truncatingIfNeeded: dice.word()))
        case 4: .status(dice.text())
        default: .array((0..<dice.below(16)).map { _ in value(&dice, depth: depth + 1) })
        }
    }

    private static func recordFindings(_ dice: inout Dice) -> [String] {
        guard let key = try? LeaseKey(user: dice.text(upTo: 128), project: dice.text(upTo: 128)) else { return [] }
        // The store keeps whole microseconds of at most some thirty years.
        func duration() -> Duration { .microseconds(Int64(bitPattern: dice.word()) % 1_000_000_000_000_000) }
        let record = LeaseRecord(
            key: key,
            epoch: Epoch(Int64(bitPattern: dice.word())),
            token: CreationToken(dice.text()),
            sandbox: ProviderSandbox(
                id: SandboxID(dice.text()),
                template: dice.text(),
                domain: some(dice.text()),
                envdAccessToken: some(dice.text()).map { Secret($0) },
                trafficAccessToken: some(dice.text()).map { Secret($0) },
                remainingLife: duration()
            ),
            createdAt: WallTime(sinceEpoch: duration()),
            age: duration(),
            idle: duration(),
            idleTimeout: duration(),
            isPaused: dice.below(2) == 1
        )
        let fields = record.fields
        // The script stores what it is given and answers: key, token, epoch, then the rest.
        let answer = Answer(
            .array(([key.canonical, fields[0], fields[1]] + fields.dropFirst(2)).map { .bulk(Array($0.utf8)) })
        )
        var findings = Findings()
        findings.expectEqual(try? answer.leaseRecord(), record, "a record, written and read")
        return findings.words
    }

    /// An empty text stands for none.
    private static func some(_ text: String) -> String? { text.isEmpty ? nil : text }

    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            let digits = String(byte, radix: 16)
            return "%\(digits.utf8.count == 1 ? "0" : "")\(digits)"
        }.joined()
    }
}
