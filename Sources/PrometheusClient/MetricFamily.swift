/// A registered metric with everything that can be rendered beforehand: the header lines and the line beginnings.
struct MetricFamily: Sendable {
    let description: MetricDescription

    private let series: [(instrument: any Instrument, prefixes: [[UInt8]])]
    private let textHeader: [UInt8]
    private let openMetricsHeader: [UInt8]

    /// `children` are in the order of `description.labelValues`.
    init(description: MetricDescription, children: [any Instrument]) {
        self.description = description
        series = zip(description.labelValues, children).map { values, instrument in
            let labels = LabelSet(names: description.labelNames, values: values)
            return (instrument, instrument.samplePrefixes(name: description.name, labels: labels))
        }
        textHeader = Self.header(of: description, in: .text)
        openMetricsHeader = Self.header(of: description, in: .openMetrics)
    }

    /// The name in HELP and TYPE lines: OpenMetrics leaves a counter's `_total` to its samples.
    static func familyName(of description: MetricDescription, in format: ExpositionFormat) -> String {
        guard format == .openMetrics, description.type == .counter else { return description.name }
        return String(description.name.dropLast(NameRules.counterSuffix.count))
    }

    func append(to page: inout [UInt8], format: ExpositionFormat) {
        page.append(contentsOf: format == .text ? textHeader : openMetricsHeader)
        for (instrument, prefixes) in series {
            instrument.appendSamples(prefixes, to: &page)
        }
    }

    private static func header(of description: MetricDescription, in format: ExpositionFormat) -> [UInt8] {
        let name = familyName(of: description, in: format)
        var lines = Array("# HELP \(name) ".utf8)
        lines.appendEscaped(description.help, escapingQuotes: format == .openMetrics)
        lines.append(contentsOf: "\n# TYPE \(name) \(description.type.rawValue)\n".utf8)
        return lines
    }
}
