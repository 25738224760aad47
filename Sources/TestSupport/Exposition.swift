/// A page of metrics as read back, for tests that look at values.
///
/// Reading is lenient: lines that make no sense are left out. ``ExpositionChecker`` finds what is wrong with a page.
public struct Exposition: Sendable {
    /// One value with its name and labels.
    public struct Sample: Hashable, Sendable {
        /// The name in front of the labels, such as `x_total` or `x_bucket`.
        public let name: String
        /// The labels, unescaped; a histogram's `le` is one of them.
        public let labels: [String: String]
        /// The value; may be NaN.
        public let value: Double

        /// Makes a sample.
        public init(name: String, labels: [String: String] = [:], value: Double) {
            self.name = name
            self.labels = labels
            self.value = value
        }
    }

    private struct SeriesKey: Hashable {
        let name: String
        let labels: [String: String]
    }

    /// All samples in the order of the page.
    public let samples: [Sample]
    /// The text of each TYPE line by its name; a counter's name has no `_total` in OpenMetrics.
    public let types: [String: String]
    /// The text of each HELP line by its name, unescaped.
    public let helps: [String: String]
    private let values: [SeriesKey: Double]

    /// Reads a page in either format.
    public static func parse(_ text: String) -> Exposition {
        var samples: [Sample] = []
        var types: [String: String] = [:]
        var helps: [String: String] = [:]
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            switch ExpositionLine(line) {
            case .type(let name, let type): types[name] = type
            case .help(let name, let text): helps[name] = ExpositionLine.unescapedHelp(text)
            case .sample(let parsed):
                guard let value = parsed.value else { continue }
                let labels = Dictionary(parsed.labels.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
                samples.append(Sample(name: parsed.name, labels: labels, value: value))
            default: continue
            }
        }
        return Exposition(samples: samples, types: types, helps: helps)
    }

    private init(samples: [Sample], types: [String: String], helps: [String: String]) {
        self.samples = samples
        self.types = types
        self.helps = helps
        values = Dictionary(
            samples.map { (SeriesKey(name: $0.name, labels: $0.labels), $0.value) },
            uniquingKeysWith: { $1 }
        )
    }

    /// The value of the series with exactly these labels, or nil if there is none.
    public func value(of name: String, _ labels: [String: String] = [:]) -> Double? {
        values[SeriesKey(name: name, labels: labels)]
    }

    /// The sum of all series of this name that have at least these labels; 0 if there are none.
    public func sum(of name: String, where labels: [String: String] = [:]) -> Double {
        samples.filter { sample in
            sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value }
        }.reduce(0) { $0 + $1.value }
    }

    /// What must not happen between two pages of one process: counters that fell and series that vanished.
    ///
    /// - Parameters:
    ///   - previous: The earlier page.
    ///   - current: The later page; it may be in the other format.
    /// - Returns: One sentence for each problem; empty if all is well.
    public static func compare(previous: Exposition, current: Exposition) -> [String] {
        previous.samples.compactMap { old in
            let labels = old.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"" }
            let series = old.name + "{" + labels.joined(separator: ",") + "}"
            guard let new = current.value(of: old.name, old.labels) else { return "\(series) vanished" }
            let fell = !(new >= old.value)  // so written that NaN is a fall
            return fell && previous.isMonotone(old.name) ? "\(series) fell from \(old.value) to \(new)" : nil
        }
    }

    private func isMonotone(_ sampleName: String) -> Bool {
        if types[sampleName] == "counter" { return true }
        return [("_total", "counter"), ("_bucket", "histogram"), ("_count", "histogram"), ("_sum", "histogram")]
            .contains { suffix, type in
                sampleName.hasSuffix(suffix) && types[String(sampleName.dropLast(suffix.count))] == type
            }
    }
}
