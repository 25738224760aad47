import PrometheusClient
import StandIns
import TestSupport
import Testing

@Suite struct OpenFamilyTests {
    private let registry = MetricRegistry()

    @Test func `children are printed sorted by bytes, however they come and go`() throws {
        let family = try registry.openGauge("g", help: "G.", labelNames: ["a", "b"])
        var random = SeededGenerator(seed: 1)
        let values = ["", "a", "b", "B", "\u{e9}", "e\u{301}", "é🦆"].map { "v" + $0 }
        let rows = values.flatMap { first in values.map { [first, $0] } }.shuffled(using: &random)
        let children = try rows.map { try family.add($0) }
        #expect(ExpositionChecker.problems(in: try registry.render(.text), format: .text) == [])
        #expect(try registry.text(.text).split(separator: "\n").count == 2 + rows.count)
        for child in children.dropFirst(3) { family.remove(child) }
        #expect(ExpositionChecker.problems(in: try registry.render(.text), format: .text) == [])
        #expect(registry.metrics.first?.labelValues.count == 3)
        #expect(registry.metrics.first?.seriesCount == 3)
    }

    @Test func `a child is there once`() throws {
        let family = try registry.openCounter("c_total", help: "C.", labelNames: ["a"])
        try family.add(["x"]).increment(by: Int64(1))
        try family.add(["x"]).increment(by: 1.5)
        #expect(try registry.text(.text).hasSuffix("\nc_total{a=\"x\"} 2.5\n"))
    }

    @Test(arguments: ExpositionFormat.allCases)
    func `a family without children is not on the page, and its name stays taken`(format: ExpositionFormat) throws {
        let family = try registry.openHistogram("h", help: "H.", labelNames: [], buckets: [1])
        #expect(try registry.text(format) == MetricRegistry().text(format))
        let child = try family.add([])
        child.observe(0.5)
        #expect(try registry.text(format).contains("\nh_bucket{le=\"1.0\"} 1\n"))
        family.remove(child)
        #expect(try registry.text(format) == MetricRegistry().text(format))
        #expect(throws: MetricError.nameTaken(name: "h", clashing: "h")) { try registry.gauge("h", help: "H.") }
    }

    @Test func `bad names and values are refused`() throws {
        #expect(throws: MetricError.invalidLabelName(name: "g", label: "le")) {
            try registry.openGauge("g", help: "G.", labelNames: ["le"])
        }
        #expect(throws: MetricError.counterNameLacksTotal("c")) {
            try registry.openCounter("c", help: "C.", labelNames: [])
        }
        #expect(throws: MetricError.invalidBuckets(name: "h", bounds: [])) {
            try registry.openHistogram("h", help: "H.", labelNames: [], buckets: [])
        }
        let family = try registry.openGauge("g", help: "G.", labelNames: ["a"])
        #expect(throws: MetricError.emptyLabelValue(name: "g", label: "a")) { try family.add([""]) }
        #expect(throws: MetricError.labelCountMismatch(name: "g", labelValues: [])) { try family.add([]) }
        #expect(try registry.text(.text) == "")
    }

    @Test func `a sum stops at the largest number instead of becoming infinite`() throws {
        let counter = try registry.doubleCounter("c_total", help: "C.")
        let histogram = try registry.histogram("h", help: "H.", buckets: [1])
        for _ in 0..<3 {
            counter.increment(by: Double.greatestFiniteMagnitude)
            histogram.observe(Double.greatestFiniteMagnitude)
        }
        #expect(counter.value == .greatestFiniteMagnitude)
        #expect(histogram.sum == .greatestFiniteMagnitude)
        #expect(ExpositionChecker.problems(in: try registry.render(.text), format: .text) == [])
    }
}
