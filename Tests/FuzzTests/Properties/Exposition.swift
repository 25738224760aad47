import CoreMetrics
import MetricsAdapter
import PrometheusClient
import TestSupport

extension FuzzTarget {
    /// A page of metrics with any names, helps, labels and values: what the registry accepts, it prints correctly.
    static let exposition = FuzzTarget(name: "exposition") { bytes in
        var dice = Dice(bytes)
        let registry = MetricRegistry()
        var expected: [(name: String, labels: [String: String], value: Double)] = []
        for _ in 0..<8 where !dice.isEmpty {
            let kind = dice.below(3)
            let name = dice.text(upTo: 40) + (kind == 1 ? "_total" : "")
            // The checker takes a CR at the end of a line for a wrong line end.
            let help = dice.text(upTo: 60) + "."
            let labels = (0..<dice.below(3)).map { _ in dice.text(upTo: 10) }
            let rows = (0..<1 + dice.below(3)).map { _ in labels.map { _ in dice.text(upTo: 40) } }
            let values = rows.map { _ in Double(bitPattern: dice.word()) }
            switch kind {
            case 0:
                guard let table = try? registry.gaugeTable(name, help: help, labelNames: labels, rows: rows) else {
                    continue
                }
                for (row, value) in values.enumerated() { table.set(row: row, to: value) }
                for (row, value) in zip(rows, values) {
                    expected.append((name, Dictionary(zip(labels, row)) { $1 }, value))
                }
            case 1:
                guard let table = try? registry.counterTable(name, help: help, labelNames: labels, rows: rows) else {
                    continue
                }
                let counts = values.map { Int($0.bitPattern >> 12) }
                for (row, count) in counts.enumerated() { table.increment(row: row, by: count) }
                for (row, count) in zip(rows, counts) {
                    expected.append((name, Dictionary(zip(labels, row)) { $1 }, Double(count)))
                }
            default:
                let bounds = values.map { abs($0) }.sorted()
                guard let histogram = try? registry.histogram(name, help: help, buckets: bounds) else { continue }
                for value in values { histogram.observe(value) }
            }
        }
        return pageFindings(registry, expected)
    }

    /// What libraries may call their metrics: the adapter makes names of it that can be printed.
    static let metricNames = FuzzTarget(name: "metric-names") { bytes in
        var dice = Dice(bytes)
        let registry = MetricRegistry()
        var configuration = PrometheusMetricsConfiguration()
        configuration.prefix = dice.below(2) == 0 ? "" : "p_"
        configuration.maximumSeries = 40
        configuration.maximumChildrenPerMetric = 4
        guard let factory = try? PrometheusMetricsFactory(registry: registry, configuration: configuration) else {
            return ["no factory"]
        }
        for _ in 0..<12 where !dice.isEmpty {
            let kind = dice.below(6)
            let label = dice.text(upTo: 40)
            let dimensions = (0..<dice.below(4)).map { _ in (dice.text(upTo: 12), dice.text(upTo: 20)) }
            let amount = Int64(truncatingIfNeeded: dice.word())
            switch kind {
            case 0: factory.makeCounter(label: label, dimensions: dimensions).increment(by: amount)
            case 1:
                factory.makeFloatingPointCounter(label: label, dimensions: dimensions)
                    .increment(by: Double(bitPattern: UInt64(bitPattern: amount)))
            case 2:
                factory.makeMeter(label: label, dimensions: dimensions).set(
                    Double(bitPattern: UInt64(bitPattern: amount))
                )
            case 3: factory.makeTimer(label: label, dimensions: dimensions).recordNanoseconds(amount)
            case 4: factory.makeRecorder(label: label, dimensions: dimensions, aggregate: true).record(amount)
            default:
                let gauge = factory.makeMeter(label: label, dimensions: dimensions)
                gauge.increment(by: Double(amount))
                factory.destroyMeter(gauge)
            }
        }
        return pageFindings(registry, [])
    }

    private static func pageFindings(
        _ registry: MetricRegistry,
        _ expected: [(name: String, labels: [String: String], value: Double)]
    ) -> [String] {
        var findings = Findings()
        for (format, checked) in [(ExpositionFormat.text, ExpositionChecker.Format.text), (.openMetrics, .openMetrics)]
        {
            guard let page = try? registry.render(format) else {
                findings.expect(false, "no page")
                continue
            }
            // Nothing was accepted: then there is nothing to print.
            if page.isEmpty, registry.metrics.isEmpty { continue }
            let problems = ExpositionChecker.problems(in: page, format: checked)
            findings.expect(
                problems.isEmpty,
                "\(problems.prefix(3)) in \(String(decoding: page.prefix(2000), as: UTF8.self))"
            )
        }
        guard !expected.isEmpty, let page = try? registry.render(.text) else { return findings.words }
        let read = TestSupport.Exposition.parse(String(decoding: page, as: UTF8.self))
        for one in expected {
            let value = read.value(of: one.name, one.labels)
            let isSame = value == one.value || (one.value.isNaN && value?.isNaN == true)
            findings.expect(isSame, "\(one) is printed as \(value.map { "\($0)" } ?? "nothing")")
        }
        return findings.words
    }
}
