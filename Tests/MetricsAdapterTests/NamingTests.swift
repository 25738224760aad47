import CoreMetrics
import MetricsAdapter
import PrometheusClient
import TestSupport
import Testing

@Suite struct NamingTests {
    @Test(arguments: [
        ("http.requests", "http_requests_total"), ("http_requests_total", "http_requests_total"),
        ("2xx", "_2xx_total"), ("", "unnamed_total"), ("a-b/c d", "a_b_c_d_total"), ("größe", "gr__e_total"),
        ("🦆", "__total"), ("request.count", "request_counts_total"), ("_total", "_totals_total"),
        ("a_total_total", "a_totals_total"),
        ("a.sum.total", "a_sums_total"), ("e\u{301}", "e__total"), ("a:b", "a_b_total"), ("a\nb\"c", "a_b_c_total"),
    ])
    func `a counter's name is valid and ends in _total`(label: String, name: String) throws {
        let fixture = try Fixture()
        fixture.counter(label).increment(by: 1)
        #expect(try fixture.libraryTypes() == [name: "counter"])
    }

    @Test(arguments: [
        ("pool.size", "pool_size"), ("jobs.total", "jobs_totals"), ("a_bucket", "a_buckets"), ("a_sum", "a_sums"),
        ("a_count", "a_counts"), ("9", "_9"),
    ])
    func `a gauge's name does not end as a counter's or histogram's samples do`(label: String, name: String) throws {
        let fixture = try Fixture()
        fixture.meter(label).set(Int64(1))
        #expect(try fixture.libraryTypes() == [name: "gauge"])
    }

    @Test(arguments: [
        ("request.duration", "request_duration_seconds"), ("wait_seconds", "wait_seconds"),
        ("_seconds", "_seconds_seconds"), ("x.count", "x_counts_seconds"),
    ])
    func `a timer's name ends in its unit`(label: String, name: String) throws {
        let fixture = try Fixture()
        fixture.timer(label).recordNanoseconds(1)
        #expect(try fixture.libraryTypes() == [name: "histogram"])
    }

    @Test func `a prefix stands before all names`() throws {
        let fixture = try Fixture { $0.prefix = "my-shop." }
        fixture.counter("orders").increment(by: 1)
        #expect(try fixture.libraryTypes() == ["my_shop_orders_total": "counter"])
        #expect(try fixture.page().value(of: "my_shop_metrics_adapter_series") == 1)
    }

    @Test func `labels that become one name are one metric, which is counted`() throws {
        let fixture = try Fixture()
        fixture.counter("http.requests").increment(by: 1)
        fixture.counter("http-requests").increment(by: 2)
        fixture.counter("http_requests_total").increment(by: 4)
        #expect(try fixture.page().value(of: "http_requests_total") == 7)
        #expect(try fixture.conflicts("merged") == 2)
    }

    @Test func `a metric of another type gets another name, which is counted`() throws {
        let fixture = try Fixture()
        fixture.counter("jobs").increment(by: 1)
        fixture.meter("jobs").set(Int64(2))
        fixture.meter("jobs").increment(by: 1)
        fixture.factory.makeRecorder(label: "jobs", dimensions: [], aggregate: true).record(Int64(3))
        fixture.timer("jobs").recordNanoseconds(1)
        let types = ["jobs_total": "counter", "jobs_gauge": "gauge", "jobs_histogram": "histogram"]
        #expect(try fixture.libraryTypes() == types.merging(["jobs_seconds": "histogram"]) { $1 })
        #expect(try fixture.page().value(of: "jobs_gauge") == 3)
        #expect(try fixture.conflicts("renamed") == 3)
    }

    @Test func `whichever comes first has the name`() throws {
        let fixture = try Fixture()
        fixture.meter("jobs").set(Int64(2))
        fixture.counter("jobs").increment(by: 1)
        #expect(try fixture.libraryTypes() == ["jobs": "gauge", "jobs_counter_total": "counter"])
        fixture.factory.makeRecorder(label: "wait_seconds", dimensions: [], aggregate: false).record(1.5)
        fixture.timer("wait").recordNanoseconds(1)
        #expect(try fixture.libraryTypes()["wait_histogram_seconds"] == "histogram")
    }

    @Test func `a name that the application has taken is left to it`() throws {
        let fixture = try Fixture()
        try fixture.registry.counter("requests_total", help: "The application's.").increment(by: 8)
        fixture.counter("requests").increment(by: 1)
        #expect(try fixture.page().value(of: "requests_total") == 8)
        #expect(try fixture.page().value(of: "requests_counter_total") == 1)
    }

    @Test func `a metric without any name left is not on the page, and counted`() throws {
        let fixture = try Fixture()
        for name in ["jobs", "jobs_gauge"] { _ = try fixture.registry.histogram(name, help: "H.", buckets: [1]) }
        let meter = fixture.meter("jobs")
        meter.set(Int64(2))
        #expect(try fixture.libraryTypes() == ["jobs": "histogram", "jobs_gauge": "histogram"])
        #expect(try fixture.conflicts("refused") == 1)
        fixture.factory.destroyMeter(meter)
    }

    @Test func `dimensions with other names than at first keep the sum right, and are counted`() throws {
        let fixture = try Fixture()
        fixture.counter("x", [("method", "GET")]).increment(by: 1)
        fixture.counter("x", [("method", "GET"), ("code", "200")]).increment(by: 2)
        fixture.counter("x", [("code", "200")]).increment(by: 4)
        fixture.counter("x").increment(by: 8)
        let page = try fixture.page()
        #expect(page.value(of: "x_total", ["method": "GET"]) == 3)
        #expect(page.value(of: "x_total", ["method": "none"]) == 12)
        #expect(page.sum(of: "x_total") == 15)
        #expect(try fixture.conflicts("labels") == 3)
    }

    @Test func `names of dimensions are valid and different`() throws {
        let fixture = try Fixture()
        let dimensions = [
            ("le", "1"), ("__name__", "2"), ("a.b", "3"), ("a_b", "4"), ("a-b", "5"), ("", "6"), ("0", "7"),
            ("a_b_2", "8"), ("ß", "9"),
        ]
        fixture.timer("x", dimensions).recordNanoseconds(1)
        let labels = try #require(try fixture.page().samples.first { $0.name == "x_seconds_count" }?.labels)
        #expect(
            labels == [
                "exported_le": "1", "_name__": "2", "a_b": "3", "a_b_2": "4", "a_b_3": "5", "unnamed": "6", "_0": "7",
                "a_b_2_2": "8", "_": "9",
            ]
        )
    }

    @Test func `values are escaped, and an empty one is none`() throws {
        let fixture = try Fixture()
        let values = [#"a\"b"# + "\n", "", "\u{0}\r", "e\u{301}", "\u{e9}", "🦆"]
        for value in values { fixture.counter("x", [("v", value)]).increment(by: 1) }
        let read = try fixture.page().librarySamples.map { Array(($0.labels["v"] ?? "").utf8) }
        #expect(Set(read) == Set(values.map { Array(($0.isEmpty ? "none" : $0).utf8) }))
        #expect(read.count == values.count)
    }

    @Test func `endless labels and values are cut`() throws {
        let fixture = try Fixture()
        let endless = String(repeating: "ü", count: 1_000_000)
        fixture.counter(endless, [(endless, endless)]).increment(by: 1)
        #expect(try fixture.registry.render(.text).count < 4000)
        let sample = try #require(try fixture.page().librarySamples.first)
        #expect(sample.labels.values.first == String(repeating: "ü", count: 250))
    }
}
