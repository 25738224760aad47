import PrometheusClient
import Testing

@Suite struct MetricRegistryTests {
    private let registry = MetricRegistry()

    @Test(arguments: ["", "1x_total", "a-b_total", "a:b_total", "größe_total", "a b_total", "_total"])
    func `a malformed name is refused`(name: String) {
        #expect(throws: MetricError.invalidName(name)) { try registry.counter(name, help: "H.") }
    }

    @Test func `a counter must end in _total and nothing else may`() {
        #expect(throws: MetricError.counterNameLacksTotal("requests")) {
            try registry.counter("requests", help: "H.")
        }
        #expect(throws: MetricError.reservedSuffix(name: "x_total", suffix: "_total")) {
            try registry.gauge("x_total", help: "H.")
        }
        #expect(throws: MetricError.reservedSuffix(name: "x_count", suffix: "_count")) {
            try registry.gauge("x_count", help: "H.")
        }
        // OpenMetrics would call the family x_total.
        #expect(throws: MetricError.reservedSuffix(name: "x_total_total", suffix: "_total")) {
            try registry.counter("x_total_total", help: "H.")
        }
    }

    @Test func `an empty help text is refused`() {
        #expect(throws: MetricError.emptyHelp(name: "x")) { try registry.gauge("x", help: "") }
    }

    @Test func `a name can be taken once`() throws {
        _ = try registry.counter("x_total", help: "H.")
        #expect(throws: MetricError.nameTaken(name: "x_total", clashing: "x_total")) {
            try registry.counter("x_total", help: "H.")
        }
        // The family that OpenMetrics prints for the counter.
        #expect(throws: MetricError.nameTaken(name: "x", clashing: "x")) { try registry.gauge("x", help: "H.") }
    }

    @Test func `a refused metric leaves nothing behind`() throws {
        _ = try registry.histogram("h", help: "H.", buckets: [1])
        #expect(throws: MetricError.nameTaken(name: "h_total", clashing: "h")) {
            try registry.counter("h_total", help: "H.")
        }
        #expect(registry.metrics.map(\.name) == ["h"])
        #expect(try Set(registry.text(.text).split(separator: "\n").filter { $0.hasPrefix("# TYPE") }).count == 1)
    }

    @Test(arguments: ["", "le", "__x", "a-b", "1"])
    func `a bad label name is refused`(label: String) {
        #expect(throws: MetricError.invalidLabelName(name: "x", label: label)) {
            try registry.gaugeTable("x", help: "H.", labelNames: [label], rows: [["v"]])
        }
    }

    @Test func `bad rows are refused`() {
        #expect(throws: MetricError.labelCountMismatch(name: "x", labelValues: ["1"])) {
            try registry.gaugeTable("x", help: "H.", labelNames: ["a", "b"], rows: [["1"]])
        }
        #expect(throws: MetricError.emptyLabelValue(name: "x", label: "a")) {
            try registry.gaugeTable("x", help: "H.", labelNames: ["a"], rows: [[""]])
        }
        #expect(throws: MetricError.duplicateSeries(name: "x", labelValues: ["1"])) {
            try registry.gaugeTable("x", help: "H.", labelNames: ["a"], rows: [["1"], ["1"]])
        }
        #expect(throws: MetricError.noSeries(name: "x")) {
            try registry.gaugeTable("x", help: "H.", labelNames: ["a"], rows: [])
        }
        #expect(throws: MetricError.duplicateLabelName(name: "x", label: "operation")) {
            try registry.gauge("x", help: "H.", by: Operation.self, Operation.self)
        }
    }

    @Test func `a fallback must be one of the pairs`() {
        #expect(throws: MetricError.unknownFallback(name: "x_total")) {
            try registry.counter(
                "x_total",
                help: "H.",
                by: Operation.self,
                Outcome.self,
                pairs: [(.acquire, .ok)],
                fallback: (.other, .ok)
            )
        }
    }

    @Test(arguments: [[], [1, 1], [2, 1], [-1], [.infinity], [.nan], (0..<32).map(Double.init)] as [[Double]])
    func `bad buckets are refused`(bounds: [Double]) {
        let error = #expect(throws: MetricError.self) { try registry.histogram("h", help: "H.", buckets: bounds) }
        guard case .invalidBuckets = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func `as many buckets as allowed work`() throws {
        let bounds = (0..<Histogram.maximumBounds).map(Double.init)
        let histogram = try registry.histogram("h", help: "H.", buckets: bounds)
        histogram.observe(1e9)
        #expect(histogram.bucketCounts.last == 1)
    }

    @Test func `the registered metrics are described`() throws {
        _ = try registry.histogram("b_seconds", help: "B.", by: Outcome.self, buckets: [1, 2])
        _ = try registry.counter("a_total", help: "A.", by: Operation.self)
        let metrics = registry.metrics
        try #require(metrics.count == 2)
        #expect(metrics[0].name == "a_total")
        #expect(metrics[0].type == .counter)
        #expect(metrics[0].help == "A.")
        #expect(metrics[0].labelNames == ["operation"])
        #expect(metrics[0].labelValues == [["acquire"], ["other"], ["release"]])
        #expect(metrics[0].seriesCount == 3)
        #expect(metrics[1].bucketBounds == [1, 2])
        #expect(metrics[1].seriesCount == 10)
    }

    @Test func `described and printed series are equally many`() throws {
        _ = try registry.histogram("b_seconds", help: "B.", by: Outcome.self, buckets: [1, 2])
        _ = try registry.histogram("c_seconds", help: "B.", buckets: [1, 2, 3])
        _ = try registry.counter("a_total", help: "A.", by: Operation.self, Outcome.self)
        let printed = try registry.text(.text).split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(printed.count == registry.metrics.map(\.seriesCount).reduce(0, +))
    }

    @Test func `collectors run before each page in the order added`() throws {
        let gauge = try registry.gauge("g", help: "G.")
        registry.onCollect("first") { gauge.increment() }
        registry.onCollect("second") { gauge.set(gauge.value * 10) }
        #expect(try registry.text(.text).hasSuffix("\ng 10\n"))
        #expect(try registry.text(.openMetrics).hasSuffix("\ng 110\n# EOF\n"))
    }

    @Test(arguments: ExpositionFormat.allCases)
    func `a page written over an earlier one is the same as a new one`(format: ExpositionFormat) throws {
        struct Stuck: Error {}
        let gauge = try registry.gauge("g", help: "G.")
        _ = try registry.histogram("h_seconds", help: "H.", buckets: [1])
        registry.onCollect("failing") { if gauge.value < 0 { throw Stuck() } }
        var page = Array(repeating: UInt8(ascii: "x"), count: 10_000)
        for value in [1e300, 0.5, 7] {
            gauge.set(value)
            try registry.render(format, into: &page)
            #expect(try page == registry.render(format))
        }
        gauge.set(-1)
        #expect(throws: MetricError.self) { try registry.render(format, into: &page) }
        #expect(page.isEmpty)
    }

    @Test func `a collector that throws leaves no page, and the next page works`() throws {
        struct Stuck: Error {}
        let gauge = try registry.gauge("g", help: "G.")
        registry.onCollect("failing") { if gauge.value == 0 { throw Stuck() } }
        #expect(throws: MetricError.collectorFailed(collector: "failing", reason: "Stuck()")) {
            try registry.render(.text)
        }
        gauge.set(1)
        #expect(try registry.text(.text).hasSuffix("\ng 1\n"))
    }
}
