/// A reply of Redis; bytes stay bytes.
public enum RedisValue: Sendable, Hashable {
    /// No value.
    case null
    /// A number.
    case integer(Int64)
    /// Bytes; may hold NUL.
    case bulk([UInt8])
    /// A short text such as `OK`.
    case status(String)
    /// Several values.
    case array([RedisValue])
    /// An error within an array. An error that is the whole reply is thrown as a `RedisError` instead.
    case error(String)

    /// The bytes of a bulk or status reply.
    public var bytes: [UInt8]? {
        switch self {
        case .bulk(let bytes): bytes
        case .status(let text): Array(text.utf8)
        case .null, .integer, .array, .error: nil
        }
    }

    /// The text of a bulk or status reply; nil also for bytes that are no UTF-8.
    public var text: String? {
        switch self {
        case .bulk(let bytes): String(validating: bytes, as: UTF8.self)
        case .status(let text): text
        case .null, .integer, .array, .error: nil
        }
    }

    /// The number of an integer reply.
    public var integer: Int64? {
        if case .integer(let number) = self { number } else { nil }
    }

    /// The elements of an array reply.
    public var array: [RedisValue]? {
        if case .array(let values) = self { values } else { nil }
    }
}
