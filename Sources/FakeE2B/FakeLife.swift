/// From when to when a sandbox lived, as only the cloud knows it.
public struct FakeLife: Sendable, Hashable {
    /// How a life ended.
    public enum End: String, Sendable, Hashable {
        case killed, expired, vanished
    }

    /// The sandbox.
    public var id: String
    /// The metadata that it was made with.
    public var metadata: [String: String]
    /// When it was made, in microseconds since 1970.
    public var from: Int
    /// When it ended; `nil` while it lives, running or paused.
    public var until: Int?
    /// How it ended; `nil` while it lives.
    public var end: End?

    var json: JSONValue {
        [
            "id": .text(id), "metadata": .object(metadata.mapValues(JSONValue.text)),
            "from": .double(Double(from) / 1_000_000),
            "until": until.map { .double(Double($0) / 1_000_000) } ?? .null,
            "end": end.map { .text($0.rawValue) } ?? .null,
        ]
    }
}

/// SplitMix64: the same draws for the same seed, in the order in which requests arrive.
struct FakeRandom: RandomNumberGenerator, Sendable {
    var state: UInt64 = 0

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
