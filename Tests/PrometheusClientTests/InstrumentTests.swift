import PrometheusClient
import TestSupport
import Testing

@Suite struct InstrumentTests {
    private let registry = MetricRegistry()

    @Test func `a counter never falls`() throws {
        let counter = try registry.counter("x_total", help: "X.")
        counter.increment(by: 5)
        counter.increment(by: -1)
        counter.increment(by: .min)
        #expect(counter.value == 5)
        #expect(registry.rejectedUpdates == 2)
        counter.advance(to: 4)
        #expect(counter.value == 5)
        counter.advance(to: 9)
        #expect(counter.value == 9)
        #expect(registry.rejectedUpdates == 2)
    }

    @Test(arguments: [-1, .nan, .infinity, -.infinity, -.leastNonzeroMagnitude] as [Double])
    func `a bad amount spoils neither a counter nor a histogram`(amount: Double) throws {
        let counter = try registry.doubleCounter("x_total", help: "X.")
        let histogram = try registry.histogram("h", help: "H.", buckets: [1])
        counter.increment(by: amount)
        counter.advance(to: amount)
        histogram.observe(amount)
        #expect(counter.value == 0)
        #expect(histogram.count == 0)
        #expect(histogram.sum == 0)
        #expect(registry.rejectedUpdates == 3)
    }

    @Test func `a counter of seconds takes over a clock's reading`() throws {
        let counter = try registry.doubleCounter("cpu_seconds_total", help: "X.")
        counter.advance(to: 1.25)
        counter.advance(to: 1.0)
        #expect(counter.value == 1.25)
    }

    @Test func `a gauge takes numbers, times and conditions`() throws {
        let gauge = try registry.gauge("g", help: "G.")
        gauge.set(7)
        gauge.increment()
        gauge.decrement(by: 3)
        #expect(gauge.value == 5)
        gauge.set(.milliseconds(250))
        #expect(gauge.value == 0.25)
        gauge.set(true)
        #expect(gauge.value == 1)
    }

    @Test(arguments: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60])
    func `an observation on a bound falls in its bucket, as number and as time`(bound: Double) throws {
        let bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
        let histogram = try registry.histogram("h", help: "H.", buckets: bounds)
        let position = try #require(bounds.firstIndex(of: bound))
        histogram.observe(bound)
        histogram.observe(Duration.microseconds(Int((bound * 1e6).rounded())))
        histogram.observe(bound.nextUp)
        #expect(histogram.bucketCounts[position] == 2)
        #expect(histogram.bucketCounts[position + 1] == 1)
        #expect(histogram.count == 3)
    }

    @Test func `0 and a negative time`() throws {
        let histogram = try registry.histogram("h", help: "H.", buckets: [1])
        histogram.observe(.zero)
        histogram.observe(.milliseconds(-1))
        #expect(histogram.count == 1)
        #expect(registry.rejectedUpdates == 1)
    }

    @Test func `a pair without a child goes to the fallback`() throws {
        let family = try registry.counter(
            "x_total",
            help: "X.",
            by: Operation.self,
            Outcome.self,
            pairs: [(.acquire, .ok), (.other, .ok)],
            fallback: (.other, .ok)
        )
        family.increment(.release, .timedOut, by: 3)
        #expect(family[.other, .ok].value == 3)
        #expect(family[.acquire, .ok].value == 0)
        #expect(registry.rejectedUpdates == 0)
    }

    @Test func `a pair without a child or fallback is refused, counted and not printed`() throws {
        let family = try registry.counter(
            "x_total",
            help: "X.",
            by: Operation.self,
            Outcome.self,
            pairs: [(.acquire, .ok)]
        )
        let before = try registry.text(.text)
        family.increment(.release, .timedOut)
        #expect(registry.rejectedUpdates == 1)
        #expect(try registry.text(.text) == before)
    }

    @Test func `each label has a child of its own, however labels look in memory`() throws {
        try expectOwnChildren(Backwards.self)
        try expectOwnChildren(Nested.self)
        try expectOwnChildren(Wide.self)
        try expectOwnChildren(Sole.self)
        let family = try registry.counter("careless_total", help: "C.", by: Careless.self)
        family.increment(Careless(byte: 17))
        #expect(Careless.allCases.map { family[$0].value } == [0, 1])
        #expect(registry.rejectedUpdates == 0)
    }

    private func expectOwnChildren<Label: MetricLabel>(_ type: Label.Type) throws {
        let family = try registry.counter("\(Label.labelName)_total", help: "C.", by: Label.self)
        for (position, label) in Label.allCases.enumerated() { family.increment(label, by: position + 1) }
        #expect(Label.allCases.map { family[$0].value } == (1...UInt64(Label.allCases.count)).map { $0 })
        let page = Exposition.parse(try registry.text(.text))
        for (position, label) in Label.allCases.enumerated() {
            let labels = [Label.labelName: label.labelValue]
            #expect(page.value(of: "\(Label.labelName)_total", labels) == Double(position + 1))
        }
    }

    @Test func `a case missing from allCases is refused and counted`() throws {
        let family = try registry.counter("x_total", help: "X.", by: Incomplete.self)
        family.increment(.forgotten)
        family.increment(.listed)
        #expect(registry.rejectedUpdates == 1)
        #expect(try registry.text(.text).hasSuffix("\nx_total{incomplete=\"listed\"} 1\n"))
    }

    @Test func `a table is addressed by row`() throws {
        let rows = [["/b", "GET", "200"], ["/a", "GET", "200"], ["other", "other", "other"]]
        let table = try registry.counterTable(
            "r_total",
            help: "R.",
            labelNames: ["route", "method", "code"],
            rows: rows
        )
        table.increment(row: 0)
        let row = try #require(table.row(for: ["/a", "GET", "200"]))
        table.increment(row: row, by: 2)
        #expect(table.row(for: ["/a", "PUT", "200"]) == nil)
        table.increment(row: 3)
        table.increment(row: -1)
        #expect(registry.rejectedUpdates == 2)
        #expect(
            try registry.text(.text).hasSuffix(
                """
                r_total{route="/a",method="GET",code="200"} 2
                r_total{route="/b",method="GET",code="200"} 1
                r_total{route="other",method="other",code="other"} 0

                """
            )
        )
    }

    @Test func `setOnly leaves exactly one state at 1`() throws {
        let single = try registry.gauge("mode", help: "M.", by: Operation.self)
        single.setOnly(.acquire)
        single.setOnly(.release)
        #expect(Operation.allCases.map { single[$0].value } == [1, 0, 0])

        let double = try registry.gauge("state", help: "S.", by: Outcome.self, Operation.self)
        double.setOnly(.ok, .acquire)
        double.setOnly(.timedOut, .other)
        double.setOnly(.ok, .other)
        #expect(Operation.allCases.map { double[.ok, $0].value } == [0, 0, 1])
        #expect(Operation.allCases.map { double[.timedOut, $0].value } == [0, 0, 1])
    }
}
