/// A Lua script, known to Redis by the SHA-1 of its source.
public struct RedisScript: Sendable, Hashable {
    /// The source, as Redis gets it.
    public let source: String
    /// The SHA-1 of the source in lower-case hexadecimal digits, the name of the script in EVALSHA.
    public let sha1: String

    /// Names a script. Its syntax is only checked by Redis, when it is first run.
    public init(_ source: String) {
        self.source = source
        sha1 = SHA1.hexadecimalDigest(of: Array(source.utf8))
    }

    /// The command that runs the script if Redis knows it.
    func command(keys: [[UInt8]], arguments: [[UInt8]], isIdempotent: Bool) -> RedisCommand {
        let head = [Array("EVALSHA".utf8), Array(sha1.utf8), Array(String(keys.count).utf8)]
        return RedisCommand(head + keys + arguments, isIdempotent: isIdempotent)
    }
}
