import PrometheusClient
import TestSupport
import Testing

extension ExpositionFormat {
    var checked: ExpositionChecker.Format { self == .text ? .text : .openMetrics }
}

@Suite struct ExpositionTests {
    private func exampleRegistry() throws -> MetricRegistry {
        let registry = MetricRegistry()
        let gauge = try registry.gauge("app_queue", help: #"A "quoted" \ help"# + "\nof two lines.")
        let operations = try registry.counter(
            "app_operations_total",
            help: "Operations.",
            by: Operation.self,
            Outcome.self,
            pairs: [(.release, .ok), (.acquire, .timedOut), (.acquire, .ok)]
        )
        let seconds = try registry.doubleCounter("app_busy_seconds_total", help: "Time spent.")
        let latency = try registry.histogram(
            "app_latency_seconds",
            help: "Latency.",
            by: Outcome.self,
            buckets: [0.005, 0.5, 1, 10]
        )
        let build = try registry.gaugeTable(
            "app_build_info",
            help: "The build.",
            labelNames: ["version", "revision"],
            rows: [["1.2", "abc"]]
        )
        // In the text format this sorts before app_operations_total, in OpenMetrics after app_operations.
        try registry.gauge("app_operations_running", help: "Running.").set(-0.25)

        gauge.set(2)
        operations.increment(.acquire, .ok, by: 41)
        operations.increment(.acquire, .ok)
        seconds.increment(by: .milliseconds(1500))
        latency.observe(.ok, .milliseconds(500))
        latency.observe(.ok, 0.5001)
        latency.observe(.ok, 100)
        build.set(row: 0, to: 1)
        return registry
    }

    private let latencySamples = #"""
        app_latency_seconds_bucket{result="ok",le="0.005"} 0
        app_latency_seconds_bucket{result="ok",le="0.5"} 1
        app_latency_seconds_bucket{result="ok",le="1.0"} 2
        app_latency_seconds_bucket{result="ok",le="10.0"} 2
        app_latency_seconds_bucket{result="ok",le="+Inf"} 3
        app_latency_seconds_sum{result="ok"} 101.0001
        app_latency_seconds_count{result="ok"} 3
        app_latency_seconds_bucket{result="timed_out",le="0.005"} 0
        app_latency_seconds_bucket{result="timed_out",le="0.5"} 0
        app_latency_seconds_bucket{result="timed_out",le="1.0"} 0
        app_latency_seconds_bucket{result="timed_out",le="10.0"} 0
        app_latency_seconds_bucket{result="timed_out",le="+Inf"} 0
        app_latency_seconds_sum{result="timed_out"} 0
        app_latency_seconds_count{result="timed_out"} 0
        """#

    @Test func `the text format is printed exactly`() throws {
        let expected = #"""
            # HELP app_build_info The build.
            # TYPE app_build_info gauge
            app_build_info{version="1.2",revision="abc"} 1
            # HELP app_busy_seconds_total Time spent.
            # TYPE app_busy_seconds_total counter
            app_busy_seconds_total 1.5
            # HELP app_latency_seconds Latency.
            # TYPE app_latency_seconds histogram
            \#(latencySamples)
            # HELP app_operations_running Running.
            # TYPE app_operations_running gauge
            app_operations_running -0.25
            # HELP app_operations_total Operations.
            # TYPE app_operations_total counter
            app_operations_total{operation="acquire",result="ok"} 42
            app_operations_total{operation="acquire",result="timed_out"} 0
            app_operations_total{operation="release",result="ok"} 0
            # HELP app_queue A "quoted" \\ help\nof two lines.
            # TYPE app_queue gauge
            app_queue 2

            """#
        let text = try exampleRegistry().text(.text)
        #expect(text == expected)
        #expect(ExpositionChecker.problems(in: text, format: .text) == [])
    }

    @Test func `OpenMetrics is printed exactly`() throws {
        let expected = #"""
            # HELP app_build_info The build.
            # TYPE app_build_info gauge
            app_build_info{version="1.2",revision="abc"} 1
            # HELP app_busy_seconds Time spent.
            # TYPE app_busy_seconds counter
            app_busy_seconds_total 1.5
            # HELP app_latency_seconds Latency.
            # TYPE app_latency_seconds histogram
            \#(latencySamples)
            # HELP app_operations Operations.
            # TYPE app_operations counter
            app_operations_total{operation="acquire",result="ok"} 42
            app_operations_total{operation="acquire",result="timed_out"} 0
            app_operations_total{operation="release",result="ok"} 0
            # HELP app_operations_running Running.
            # TYPE app_operations_running gauge
            app_operations_running -0.25
            # HELP app_queue A \"quoted\" \\ help\nof two lines.
            # TYPE app_queue gauge
            app_queue 2
            # EOF

            """#
        let text = try exampleRegistry().text(.openMetrics)
        #expect(text == expected)
        #expect(ExpositionChecker.problems(in: text, format: .openMetrics) == [])
    }

    @Test(arguments: ExpositionFormat.allCases, [true, false])
    func `families are sorted by the name they have in the format`(
        format: ExpositionFormat,
        isCounterFirst: Bool
    ) throws {
        let registry = MetricRegistry()
        if isCounterFirst { _ = try registry.counter("x_total", help: "X.") }
        _ = try registry.gauge("x_running", help: "X.")
        if !isCounterFirst { _ = try registry.counter("x_total", help: "X.") }
        let page = try registry.text(format)
        #expect(page.hasPrefix(format == .text ? "# HELP x_running " : "# HELP x "))
        #expect(ExpositionChecker.problems(in: page, format: format.checked) == [])
    }

    @Test(arguments: ExpositionFormat.allCases)
    func `an empty registry is an empty but valid page`(format: ExpositionFormat) throws {
        #expect(try MetricRegistry().text(format) == (format == .text ? "" : "# EOF\n"))
    }

    @Test(arguments: [
        (0.0, "0"), (-0.0, "-0"), (1, "1"), (-1, "-1"), (0.1, "0.1"), (1.5, "1.5"), (1e15, "1000000000000000"),
        (9_007_199_254_740_992, "9007199254740992"), (1e20, "1e+20"), (.leastNonzeroMagnitude, "5e-324"),
        (1e-7, "1e-07"), (0.1 + 0.2, "0.30000000000000004"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        (.greatestFiniteMagnitude, "1.7976931348623157e+308"), (1_790_000_000.25, "1790000000.25"),
    ])
    func `numbers are printed shortest and in the format's spelling`(value: Double, text: String) throws {
        let registry = MetricRegistry()
        try registry.gauge("x", help: "X.").set(value)
        #expect(try registry.text(.text).hasSuffix("\nx \(text)\n"))
    }

    @Test func `a counter beyond 2^53 keeps its last digit`() throws {
        let registry = MetricRegistry()
        try registry.counter("x_total", help: "X.").advance(to: 18_446_744_073_709_551_615)
        #expect(try registry.text(.text).hasSuffix("\nx_total 18446744073709551615\n"))
    }

    @Test(arguments: ExpositionFormat.allCases)
    func `evil label values are escaped and read back the same`(format: ExpositionFormat) throws {
        let registry = MetricRegistry()
        let family = try registry.counter("evil_total", help: "E.", by: EvilLabel.self)
        for (position, label) in EvilLabel.allCases.enumerated() { family.increment(label, by: position + 1) }
        let text = try registry.text(format)

        #expect(text.contains(#"evil_total{text="back\\slash"} 1"#))
        #expect(text.contains(#"evil_total{text="\\n"} 2"#))
        #expect(text.contains(#"evil_total{text="say \"hi\""} 3"#))
        #expect(text.contains(#"evil_total{text="two\nlines"} 4"#))
        #expect(ExpositionChecker.problems(in: text, format: format.checked) == [])
        // Read back as bytes, for two of the values are equal to `==`.
        let samples = Exposition.parse(text).samples
        let read = samples.map { sample in Array((sample.labels["text"] ?? "").utf8) + [UInt8(sample.value)] }
        let written = EvilLabel.allCases.enumerated().map { Array($1.labelValue.utf8) + [UInt8($0 + 1)] }
        #expect(Set(read) == Set(written))
        #expect(samples.count == EvilLabel.allCases.count)
    }

    @Test func `no line ends in a carriage return and there are no timestamps`() throws {
        let text = try exampleRegistry().text(.text)
        #expect(!text.utf8.contains(UInt8(ascii: "\r")))
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            #expect(line.split(separator: " ").count == 2)
        }
    }
}
