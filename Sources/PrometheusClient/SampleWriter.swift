/// The beginnings of sample lines (name, labels and the space before the value), one after the other.
///
/// In one array, because a page of 10,000 series spends more on finding that many arrays than on copying them.
struct SampleLines: Sendable {
    fileprivate let text: [UInt8]
    /// Where each of them ends in `text`.
    fileprivate let ends: [Int]

    init(_ prefixes: [[UInt8]]) {
        text = Array(prefixes.joined())
        var end = 0
        ends = prefixes.map { prefix in
            end += prefix.count
            return end
        }
    }
}

/// A page in the making: whoever has values writes them, in the order of the line beginnings, which are written here.
struct SampleWriter {
    /// Everything so far.
    private(set) var page: [UInt8]
    private var lines = SampleLines([])
    private var line = 0
    private var start = 0

    /// - Parameter page: Its memory is used again.
    init(_ page: consuming [UInt8]) {
        self.page = page
    }

    /// What is written next are the values of `lines`, each once.
    mutating func begin(_ lines: SampleLines) {
        self.lines = lines
        line = 0
        start = 0
    }

    mutating func write(_ header: [UInt8]) {
        page.append(contentsOf: header)
    }

    mutating func write(_ value: UInt64) {
        beginLine()
        page.appendDecimal(value)
        page.appendLineEnd()
    }

    mutating func write(_ value: Double) {
        beginLine()
        page.appendNumber(value)
        page.appendLineEnd()
    }

    private mutating func beginLine() {
        let end = lines.ends[line]
        page.append(contentsOf: lines.text[start..<end])
        line += 1
        start = end
    }
}
