/// A registered metric with everything that can be rendered beforehand: the header lines and the line beginnings.
struct MetricFamily: Sendable {
    /// Children with their line beginnings: all of a closed family, or one of an open one.
    struct Series: Sendable {
        let instruments: [any Instrument]
        let lines: SampleLines

        /// `instruments` are in the order of `labelValues`.
        init(_ instruments: [any Instrument], labelValues: [[String]], of description: MetricDescription) {
            self.instruments = instruments
            lines = SampleLines(
                zip(instruments, labelValues).flatMap { instrument, values in
                    let labels = LabelSet(names: description.labelNames, values: values)
                    return instrument.samplePrefixes(name: description.name, labels: labels)
                }
            )
        }
    }

    private enum Children {
        case closed(Series)
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
        self.init(description, .closed(Series(children, labelValues: description.labelValues, of: description)))
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

    func write(to page: inout SampleWriter, format: ExpositionFormat) {
        let header = format == .text ? textHeader : openMetricsHeader
        switch children {
        case .closed(let series):
            page.write(header)
            write(series, to: &page)
        case .open(let series):
            let all = series.sorted
            // A header without samples would be legal, and say nothing.
            if all.isEmpty { return }
            page.write(header)
            for series in all { write(series, to: &page) }
        }
    }

    private func write(_ series: Series, to page: inout SampleWriter) {
        page.begin(series.lines)
        for instrument in series.instruments { instrument.writeSamples(to: &page) }
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
