/// One kind of input from outside, and what must be true of whatever reads it.
///
/// Compiled twice: by the tests, which replay the corpus, and by the package in `Fuzz`, for libFuzzer.
struct FuzzTarget: Sendable {
    /// Also the name of its folder in `Fuzz/Corpus`.
    let name: String
    /// Reads the bytes; returns what should not be, in words. A crash is a finding as well.
    let check: @Sendable ([UInt8]) -> [String]

    static let all = [
        paths, jsonBodies, jsonWriter, httpRequests, e2bReplies, processStreams, redisReplies, redisURLs, configuration,
        exposition, metricNames, operatorPages,
    ]
}

/// Collects what should not be.
struct Findings {
    private(set) var words: [String] = []

    mutating func expect(_ holds: Bool, _ words: @autoclosure () -> String) {
        if !holds { self.words.append(words()) }
    }

    mutating func expectEqual<Value: Equatable>(_ left: Value, _ right: Value, _ what: String) {
        if left != right { words.append("\(what): \(left) is not \(right)") }
    }
}

/// Makes values out of bytes; when these are used up, everything is zero or empty.
struct Dice {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isEmpty: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func below(_ bound: Int) -> Int { Int(byte()) % bound }

    mutating func word() -> UInt64 { (0..<8).reduce(0) { word, _ in word << 8 | UInt64(byte()) } }

    /// Up to `longest` bytes, of which the first tells how many.
    mutating func bytes(upTo longest: Int = 255) -> [UInt8] {
        let count = min(Int(byte()), longest, rest.count)
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// A text; what is no UTF-8 is repaired.
    mutating func text(upTo longest: Int = 255) -> String { String(decoding: bytes(upTo: longest), as: UTF8.self) }
}

/// The parts of an input between line ends, so that a corpus can be read and written by people.
func lines(_ bytes: [UInt8]) -> [String] {
    bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self) }
}
