import PrometheusClient
import StandIns
import TestSupport

/// A registry with texts of any kind in help and label values, and what was put in.
struct FuzzedPage {
    let registry = MetricRegistry()
    /// By registered name.
    private(set) var helps: [String: String] = [:]
    /// The label values of each series, as bytes.
    private(set) var rows: [String: Set<[[UInt8]]>] = [:]

    static let labelNames = ["first", "second"]

    init(seed: UInt64, families: Int) throws {
        var random = SeededGenerator(seed: seed)
        for number in 0..<families {
            // A page is not to end a line in a carriage return, so a help text must not.
            let help = Self.text(using: &random) + "."
            var wanted: Set<[[UInt8]]> = []
            var values: [[String]] = []
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let row = Self.labelNames.map { _ in Self.text(using: &random) }
                if wanted.insert(row.map { Array($0.utf8) }).inserted { values.append(row) }
            }
            let name: String
            switch number % 3 {
            case 0:
                name = "c\(number)_total"
                let table = try registry.counterTable(name, help: help, labelNames: Self.labelNames, rows: values)
                for row in values.indices { table.increment(row: row, by: .random(in: 0...1000, using: &random)) }
            case 1:
                name = "g\(number)"
                let table = try registry.gaugeTable(name, help: help, labelNames: Self.labelNames, rows: values)
                for row in values.indices { table.set(row: row, to: Self.value(using: &random)) }
            default:
                name = "h\(number)"
                let family = try registry.openHistogram(
                    name,
                    help: help,
                    labelNames: Self.labelNames,
                    buckets: [0.5, 1, 50_000]
                )
                for row in values { try family.add(row).observe(abs(Self.value(using: &random))) }
            }
            helps[name] = help
            rows[name] = wanted
        }
    }

    /// Has so few digits that no other text of as many is the same number.
    private static func value(using random: inout SeededGenerator) -> Double {
        Double(Int.random(in: -1_000_000...1_000_000, using: &random)) / 8
    }

    /// Never empty; now and then very long.
    private static func text(using random: inout SeededGenerator) -> String {
        let lengths = [1, 1, 2, 3, 5, 20, 20, 100, 3000]
        var text = String.UnicodeScalarView()
        for _ in 0..<(lengths.randomElement(using: &random) ?? 1) { text.append(scalar(using: &random)) }
        return String(text)
    }

    private static func scalar(using random: inout SeededGenerator) -> Unicode.Scalar {
        let special = Array(#"\"{},=# n"#.unicodeScalars) + ["\n", "\r", "\t"]
        // What changes its neighbours, direction or width, and what some programs take for the end of a line.
        let odd: [Unicode.Scalar] = [
            "\u{301}", "\u{200d}", "\u{202e}", "\u{feff}", "\u{fe0f}", "\u{85}", "\u{2028}", "\u{2029}", "\u{fffd}",
            "\u{ffff}", "\u{10ffff}", "\u{e000}", "\u{d7ff}",
        ]
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1: return special.randomElement(using: &random) ?? " "
        case 2: return odd.randomElement(using: &random) ?? " "
        case 3: return Unicode.Scalar(UInt8.random(in: 0..<0x20, using: &random))
        case 4: return Unicode.Scalar(UInt8.random(in: 0x20...0xff, using: &random))
        default:
            // A number that is no scalar is half of a surrogate pair.
            return Unicode.Scalar(UInt32.random(in: 0...0x10ffff, using: &random)) ?? "\u{1f986}"
        }
    }
}
