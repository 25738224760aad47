/// A command and its arguments, all binary safe.
public struct RedisCommand: Sendable, Hashable {
    /// The command's name, then its arguments.
    public var words: [[UInt8]]
    /// Whether doing it twice has the effect of doing it once. Only then it is sent again after a reply was lost.
    public var isIdempotent: Bool

    /// Makes a command of bytes.
    public init(_ words: [[UInt8]], isIdempotent: Bool = false) {
        self.words = words
        self.isIdempotent = isIdempotent
    }

    /// Makes a command of texts, such as `RedisCommand("SET", key, value)`.
    public init(_ words: String..., isIdempotent: Bool = false) {
        self.init(words.map { Array($0.utf8) }, isIdempotent: isIdempotent)
    }

    /// Asks whether Redis answers.
    public static let ping = RedisCommand("PING", isIdempotent: true)

    /// Reads a value; `.null` if there is none.
    public static func get(_ key: String) -> RedisCommand {
        RedisCommand("GET", key, isIdempotent: true)
    }

    /// Writes a value.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - value: The value, of any bytes.
    ///   - lifetime: When it ends by itself, in whole milliseconds, at least one; nil means never.
    /// - Returns: The command, which is idempotent.
    public static func set(_ key: String, to value: [UInt8], lifetime: Duration? = nil) -> RedisCommand {
        var words = [Array("SET".utf8), Array(key.utf8), value]
        if let lifetime {
            let milliseconds = max(1, lifetime / .milliseconds(1))
            words += [Array("PX".utf8), Array(String(Int64(milliseconds)).utf8)]
        }
        return RedisCommand(words, isIdempotent: true)
    }

    /// Sends a message to the subscribers of a channel; the reply counts them.
    public static func publish(_ payload: [UInt8], to channel: String) -> RedisCommand {
        RedisCommand([Array("PUBLISH".utf8), Array(channel.utf8), payload])
    }
}

extension RedisCommand {
    /// The name in capitals; empty if it is no text.
    var name: String {
        words.first.flatMap { String(validating: $0, as: UTF8.self) }?.uppercased() ?? ""
    }

    /// The class it is counted as.
    var kind: RedisCommandKind {
        guard let name = words.first else { return .other }
        // Compared as bytes: this runs for every command.
        return RedisCommandKind.names.first { isEqual(name, to: $0.name) }?.kind ?? .other
    }

    private func isEqual(_ name: [UInt8], to capitals: [UInt8]) -> Bool {
        name.count == capitals.count && zip(name, capitals).allSatisfy { $0 & 0xDF == $1 }
    }

    /// Why it must not be sent on a connection that others share.
    ///
    /// These change what later replies mean or how many there are, for everybody.
    var fault: String? {
        guard let first = words.first, !first.isEmpty else { return "a command needs a name" }
        // Every one of these has at least 4 letters, and the hot commands are not among them.
        guard kind == .other else { return nil }
        let name = name
        if Self.connectionWide.contains(name) { return "\(name) would change the shared connection" }
        if name == "CLIENT", words.count > 1, String(decoding: words[1], as: UTF8.self).uppercased() == "REPLY" {
            return "CLIENT REPLY would change the shared connection"
        }
        return nil
    }

    private static let connectionWide: Set<String> = [
        "AUTH", "HELLO", "SELECT", "QUIT", "RESET", "MONITOR", "SYNC", "PSYNC", "MULTI", "EXEC", "DISCARD", "WATCH",
        "UNWATCH", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE",
    ]

    /// Appends the command in Redis' wire format.
    ///
    /// Done here and not by hiredis: it runs on the caller's thread, so that the connection's only copies bytes.
    func encode(into bytes: inout [UInt8]) {
        Self.append(UInt8(ascii: "*"), words.count, to: &bytes)
        for word in words {
            Self.append(UInt8(ascii: "$"), word.count, to: &bytes)
            bytes.append(contentsOf: word)
            bytes.append(UInt8(ascii: "\r"))
            bytes.append(UInt8(ascii: "\n"))
        }
    }

    /// An upper bound of what `encode(into:)` appends.
    var encodedCount: Int {
        words.reduce(24) { $0 + $1.count + 24 }
    }

    private static func append(_ marker: UInt8, _ count: Int, to bytes: inout [UInt8]) {
        bytes.append(marker)
        if count < 10 {
            bytes.append(UInt8(ascii: "0") + UInt8(count))
        } else {
            bytes.append(contentsOf: String(count).utf8)
        }
        bytes.append(UInt8(ascii: "\r"))
        bytes.append(UInt8(ascii: "\n"))
    }
}
