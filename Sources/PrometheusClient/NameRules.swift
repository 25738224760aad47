/// The rules for names, labels and buckets, checked once when a metric is registered.
enum NameRules {
    static let counterSuffix = "_total"
    private static let histogramSuffixes = ["_bucket", "_sum", "_count"]

    static func checkMetric(name: String, type: MetricType, help: String) throws(MetricError) {
        guard isIdentifier(name) else { throw .invalidName(name) }
        guard !help.isEmpty else { throw .emptyHelp(name: name) }
        if type == .counter {
            let base = name.dropLast(counterSuffix.count)
            guard name.hasSuffix(counterSuffix) else { throw .counterNameLacksTotal(name) }
            guard isIdentifier(base) else { throw .invalidName(name) }
        }
        // Readers take these endings for samples, and of another type.
        let base = type == .counter ? name.dropLast(counterSuffix.count) : name[...]
        for suffix in histogramSuffixes + [counterSuffix] where base.hasSuffix(suffix) {
            throw .reservedSuffix(name: name, suffix: suffix)
        }
    }

    /// Every name that the metric's family and samples have or may have in either format.
    static func claimedNames(name: String, type: MetricType) -> [String] {
        switch type {
        case .gauge: return [name]
        case .counter:
            let base = String(name.dropLast(counterSuffix.count))
            return [name, base, base + "_created"]
        case .histogram: return ([""] + histogramSuffixes + ["_created"]).map { name + $0 }
        }
    }

    static func checkLabelNames(name: String, labelNames: [String]) throws(MetricError) {
        var seenNames: Set<String> = []
        for label in labelNames {
            guard isIdentifier(label), !label.hasPrefix("__"), label != "le" else {
                throw .invalidLabelName(name: name, label: label)
            }
            guard seenNames.insert(label).inserted else { throw .duplicateLabelName(name: name, label: label) }
        }
    }

    static func checkLabels(name: String, labelNames: [String], rows: [[String]]) throws(MetricError) {
        try checkLabelNames(name: name, labelNames: labelNames)
        guard !rows.isEmpty else { throw .noSeries(name: name) }
        var seenRows: Set<[[UInt8]]> = []
        for row in rows {
            guard row.count == labelNames.count else { throw .labelCountMismatch(name: name, labelValues: row) }
            for (label, value) in zip(labelNames, row) where value.isEmpty {
                throw .emptyLabelValue(name: name, label: label)
            }
            // Compared as bytes: `==` on `String` takes different spellings of one character for equal.
            guard seenRows.insert(row.map { Array($0.utf8) }).inserted else {
                throw .duplicateSeries(name: name, labelValues: row)
            }
        }
    }

    static func checkBuckets(name: String, bounds: [Double]) throws(MetricError) {
        let isAscending = zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }
        guard !bounds.isEmpty, bounds.count <= Histogram.maximumBounds, isAscending,
            bounds.allSatisfy({ $0.isFinite && $0 >= 0 })
        else { throw .invalidBuckets(name: name, bounds: bounds) }
    }

    private static func isIdentifier(_ name: some StringProtocol) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }
}
