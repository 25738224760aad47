import CoreMetrics
import MetricsAdapter
import PrometheusClient
import TestSupport
import Testing

@Suite struct PrometheusMetricsFactoryTests {
    private static let bootstrapped: Result<MetricRegistry, MetricError> = {
        let registry = MetricRegistry()
        do throws(MetricError) {
            // Once in a process; all other tests give their factory by hand.
            MetricsSystem.bootstrap(try PrometheusMetricsFactory(registry: registry))
            return .success(registry)
        } catch {
            return .failure(error)
        }
    }()

    @Test func `a library that knows nothing of Prometheus is on the page`() throws {
        let registry = try Self.bootstrapped.get()
        CoreMetrics.Counter(label: "library.jobs", dimensions: [("queue", "mail")]).increment(by: 3)
        let page = try registry.render(.text)
        #expect(String(decoding: page, as: UTF8.self).contains("\nlibrary_jobs_total{queue=\"mail\"} 3\n"))
    }

    @Test func `a page is printed exactly`() throws {
        let fixture = try Fixture { $0.timerBuckets = [0.25, 1] }
        let factory = fixture.factory
        CoreMetrics.Counter(label: "http.requests", dimensions: [("path", "/"), ("method", "GET")], factory: factory)
            .increment(by: 2)
        FloatingPointCounter(label: "energy.joules", factory: factory).increment(by: 1.5)
        CoreMetrics.Gauge(label: "pool.idle", factory: factory).record(7)
        Meter(label: "pool.busy", factory: factory).set(2.5)
        Timer(label: "http.duration", factory: factory).recordMilliseconds(250)
        let text = String(decoding: try fixture.registry.render(.text), as: UTF8.self)
        let own = text.split(separator: "\n").filter { !$0.contains("metrics_adapter_") }
        #expect(
            own.joined(separator: "\n") == #"""
                # HELP energy_joules_total Reported through swift-metrics as energy.joules.
                # TYPE energy_joules_total counter
                energy_joules_total 1.5
                # HELP http_duration_seconds Reported through swift-metrics as http.duration.
                # TYPE http_duration_seconds histogram
                http_duration_seconds_bucket{le="0.25"} 1
                http_duration_seconds_bucket{le="1.0"} 1
                http_duration_seconds_bucket{le="+Inf"} 1
                http_duration_seconds_sum 0.25
                http_duration_seconds_count 1
                # HELP http_requests_total Reported through swift-metrics as http.requests.
                # TYPE http_requests_total counter
                http_requests_total{method="GET",path="/"} 2
                # HELP pool_busy Reported through swift-metrics as pool.busy.
                # TYPE pool_busy gauge
                pool_busy 2.5
                # HELP pool_idle Reported through swift-metrics as pool.idle.
                # TYPE pool_idle gauge
                pool_idle 7
                """#
        )
        _ = try fixture.page()
    }

    @Test func `whole and fractional amounts of one label add up in one series`() throws {
        let fixture = try Fixture()
        fixture.counter("bytes").increment(by: 2)
        fixture.factory.makeFloatingPointCounter(label: "bytes", dimensions: []).increment(by: 0.5)
        fixture.counter("bytes").increment(by: 1)
        #expect(try fixture.page().value(of: "bytes_total") == 3.5)
    }

    @Test func `the order of dimensions does not matter`() throws {
        let fixture = try Fixture()
        fixture.counter("x", [("a", "1"), ("b", "2")]).increment(by: 1)
        fixture.counter("x", [("b", "2"), ("a", "1")]).increment(by: 1)
        #expect(try fixture.page().value(of: "x_total", ["a": "1", "b": "2"]) == 2)
        #expect(try fixture.conflicts("labels") == 0)
    }

    @Test func `a meter goes up and down, and an amount that is not finite changes nothing`() throws {
        let fixture = try Fixture()
        let meter = fixture.meter("level")
        meter.set(Int64(10))
        meter.increment(by: 2.5)
        meter.decrement(by: 0.5)
        meter.increment(by: .nan)
        meter.decrement(by: .infinity)
        #expect(try fixture.page().value(of: "level") == 12)
    }

    @Test func `a recorder is a histogram if it aggregates and a gauge if not`() throws {
        let fixture = try Fixture { $0.buckets["sizes"] = [10, 20] }
        let sizes = fixture.factory.makeRecorder(label: "sizes", dimensions: [], aggregate: true)
        sizes.record(Int64(15))
        sizes.record(25.5)
        fixture.factory.makeRecorder(label: "last.size", dimensions: [], aggregate: false).record(Int64(-3))
        let page = try fixture.page()
        #expect(page.value(of: "sizes_bucket", ["le": "10.0"]) == 0)
        #expect(page.value(of: "sizes_bucket", ["le": "20.0"]) == 1)
        #expect(page.value(of: "sizes_bucket", ["le": "+Inf"]) == 2)
        #expect(page.value(of: "sizes_sum") == 40.5)
        #expect(page.value(of: "last_size") == -3)
    }

    @Test func `what would spoil a series is refused and counted`() throws {
        let fixture = try Fixture()
        let counter = fixture.counter("c")
        counter.increment(by: 4)
        counter.increment(by: -1)
        fixture.factory.makeFloatingPointCounter(label: "c", dimensions: []).increment(by: .nan)
        let timer = fixture.timer("t")
        timer.recordNanoseconds(-1)
        fixture.factory.makeRecorder(label: "r", dimensions: [], aggregate: true).record(-0.5)
        let page = try fixture.page()
        #expect(page.value(of: "c_total") == 4)
        #expect(page.value(of: "t_seconds_count") == 0)
        #expect(page.value(of: "r_count") == 0)
        #expect(fixture.registry.rejectedUpdates == 4)
    }

    @Test func `no counter wraps around or becomes infinite`() throws {
        let fixture = try Fixture()
        let counter = fixture.counter("c")
        for _ in 0..<5 { counter.increment(by: .max) }
        let double = fixture.factory.makeFloatingPointCounter(label: "d", dimensions: [])
        for _ in 0..<5 { double.increment(by: .greatestFiniteMagnitude) }
        let recorder = fixture.factory.makeRecorder(label: "r", dimensions: [], aggregate: true)
        for _ in 0..<5 { recorder.record(Double.greatestFiniteMagnitude) }
        let page = try fixture.page()
        #expect(page.value(of: "c_total") == 5 * 0x1p63)
        #expect(page.value(of: "d_total") == .greatestFiniteMagnitude)
        #expect(page.value(of: "r_sum") == .greatestFiniteMagnitude)
    }

    @Test func `a reset starts the count again`() throws {
        let fixture = try Fixture()
        let counter = fixture.counter("c")
        counter.increment(by: 5)
        fixture.factory.makeFloatingPointCounter(label: "c", dimensions: []).increment(by: 0.5)
        counter.reset()
        counter.increment(by: 1)
        #expect(try fixture.page().value(of: "c_total") == 1)
    }

    @Test func `bad buckets and a second adapter are refused`() throws {
        for bounds in [[], [2, 1], [.nan]] as [[Double]] {
            #expect(throws: MetricError.self) { _ = try Fixture { $0.timerBuckets = bounds } }
            #expect(throws: MetricError.self) { _ = try Fixture { $0.recorderBuckets = bounds } }
            #expect(throws: MetricError.self) { _ = try Fixture { $0.buckets["x"] = bounds } }
        }
        let fixture = try Fixture()
        #expect(throws: MetricError.self) { try PrometheusMetricsFactory(registry: fixture.registry) }
        var configuration = PrometheusMetricsConfiguration()
        configuration.prefix = "second."
        let second = try PrometheusMetricsFactory(registry: fixture.registry, configuration: configuration)
        second.makeCounter(label: "x", dimensions: []).increment(by: 1)
        let page = try fixture.page()
        #expect(page.value(of: "second_x_total") == 1)
        #expect(page.value(of: "second_metrics_adapter_series") == 1)
    }
}
