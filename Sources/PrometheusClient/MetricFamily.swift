/// A registered metric with everything that can be rendered beforehand: the header lines and the line beginnings.
struct MetricFamily: Sendable {
    /// One child with its line beginnings.
    struct Series: Sendable {
        let instrument: any Instrument
        let prefixes: [[UInt8]]

        init(_ instrument: any Instrument, labelValues: [String], of description: MetricDescription) {
            let labels = LabelSet(names: description.labelNames, values: labelValues)
            self.instrument = instrument
            prefixes = instrument.samplePrefixes(name: description.name, labels: labels)
        }
    }

    private enum Children {
        case closed([Series])
        case open(OpenSeries)
    }

    let name: String
    let type: MetricType

    private let shape: MetricDescription
    private let children: Children
    private let textHeader: [UInt8]
    private let openMetricsHeader: [UInt8]

    /// A family that never changes; `children` are in the order of `description.labelValues`.
    init(description: MetricDescription, children: [any Instrument]) {
        let series = zip(description.labelValues, children).map { Series($1, labelValues: $0, of: description) }
        self.init(description, .closed(series))
    }

    /// A family without children so far.
    init(_ series: OpenSeries) {
        self.init(series.shape, .open(series))
    }

    private init(_ shape: MetricDescription, _ children: Children) {
        name = shape.name
        type = shape.type
        self.shape = shape
        self.children = children
        textHeader = Self.header(of: shape, in: .text)
        openMetricsHeader = Self.header(of: shape, in: .openMetrics)
    }

    /// As it is now.
    var description: MetricDescription {
        switch children {
        case .closed: shape
        case .open(let series): series.description
        }
    }

    /// The name in HELP and TYPE lines: OpenMetrics leaves a counter's `_total` to its samples.
    func name(in format: ExpositionFormat) -> String {
        Self.familyName(of: shape, in: format)
    }

    func append(to page: inout [UInt8], format: ExpositionFormat) {
        let series =
            switch children {
            case .closed(let series): series
            case .open(let series): series.sorted
            }
        // A header without samples would be legal, and say nothing.
        if series.isEmpty { return }
        page.append(contentsOf: format == .text ? textHeader : openMetricsHeader)
        for child in series {
            child.instrument.appendSamples(child.prefixes, to: &page)
        }
    }

    private static func familyName(of description: MetricDescription, in format: ExpositionFormat) -> String {
        guard format == .openMetrics, description.type == .counter else { return description.name }
        return String(description.name.dropLast(NameRules.counterSuffix.count))
    }

    private static func header(of description: MetricDescription, in format: ExpositionFormat) -> [UInt8] {
        let name = familyName(of: description, in: format)
        var lines = Array("# HELP \(name) ".utf8)
        lines.appendEscaped(description.help, escapingQuotes: format == .openMetrics)
        lines.append(contentsOf: "\n# TYPE \(name) \(description.type.rawValue)\n".utf8)
        return lines
    }
}
