/// The dimensions of a metric as labels that can be printed: sorted by name, each name valid and there once.
struct LabelPairs {
    /// Stands for a value that is empty or that was not given: to Prometheus, an empty value is no label at all.
    static let missing = "none"
    /// Stands for every value beyond the bounds.
    static let other = "other"

    private static let maximumNameLength = 100
    private static let maximumValueLength = 500

    private let pairs: [(name: String, value: String)]

    init(_ dimensions: [(String, String)]) {
        var pairs: [(name: String, value: String)] = []
        for (dimension, value) in dimensions {
            let wanted = Self.name(dimension)
            var name = wanted
            var turn = 2
            while pairs.contains(where: { $0.name == name }) {
                name = "\(wanted)_\(turn)"
                turn += 1
            }
            pairs.append((name, Self.value(value)))
        }
        self.pairs = pairs.sorted { $0.name < $1.name }
    }

    var names: [String] { pairs.map(\.name) }

    /// The values for `names`: what is not among them is left out, and what is missing is said to be.
    func values(for names: [String]) -> [String] {
        names.map { name in pairs.first { $0.name == name }?.value ?? Self.missing }
    }

    private static func name(_ dimension: String) -> String {
        let name = MetricName.identifier(dimension, maximumLength: maximumNameLength)
        if name == "le" { return "exported_le" }
        // Two underscores at the beginning belong to Prometheus.
        return name.hasPrefix("__") ? "_" + name.drop { $0 == "_" } : name
    }

    private static func value(_ text: String) -> String {
        if text.isEmpty { return missing }
        if text.utf8.count <= maximumValueLength { return text }
        var length = 0
        let kept = text.unicodeScalars.prefix { scalar in
            length += UTF8.encode(scalar)?.count ?? 0
            return length <= maximumValueLength
        }
        return String(kept)
    }
}
