import CoreMetrics
import MetricsAdapter
import PrometheusClient
import TestSupport
import Testing

@Suite struct BoundsTests {
    @Test func `values beyond a metric's bound add up under other`() throws {
        let fixture = try Fixture { $0.maximumChildrenPerMetric = 3 }
        for round in 1...2 {
            for user in 0..<100 { fixture.counter("x", [("user", "u\(user)")]).increment(by: Int64(round)) }
        }
        let page = try fixture.page()
        #expect(page.librarySamples.count == 4)
        #expect(page.value(of: "x_total", ["user": "u0"]) == 3)
        #expect(page.value(of: "x_total", ["user": "other"]) == 291)
        #expect(try fixture.overflowed("metric") == 194)
        #expect(page.value(of: "metrics_adapter_series") == 4)
        #expect(page.value(of: "metrics_adapter_series_limit") == 1000)
    }

    @Test func `a value that is called other is in the same child`() throws {
        let fixture = try Fixture { $0.maximumChildrenPerMetric = 1 }
        fixture.counter("x", [("user", "other")]).increment(by: 1)
        fixture.counter("x", [("user", "a")]).increment(by: 2)
        fixture.counter("x", [("user", "b")]).increment(by: 4)
        #expect(try fixture.page().value(of: "x_total", ["user": "other"]) == 5)
    }

    @Test func `all metrics together stay within the total, whatever libraries ask for`() throws {
        let fixture = try Fixture { $0.maximumSeries = 100 }
        for number in 0..<300 {
            fixture.counter("counter.\(number % 40)", [("user", "u\(number)")]).increment(by: 1)
            fixture.timer("timer.\(number % 20)", [("user", "u\(number)")]).recordNanoseconds(1)
            fixture.meter("gauge.\(number)").set(Int64(1))
        }
        let page = try fixture.page()
        #expect(page.librarySamples.count <= 100)
        #expect(page.librarySamples.count > 80)
        #expect(page.value(of: "metrics_adapter_series") == Double(page.librarySamples.count))
        #expect(try #require(try fixture.overflowed("total")) > 0)
    }

    @Test func `a metric for which there is no room is not on the page and does no harm`() throws {
        let fixture = try Fixture { $0.maximumSeries = 0 }
        let counter = fixture.counter("x")
        counter.increment(by: 1)
        counter.reset()
        fixture.factory.destroyCounter(counter)
        #expect(try fixture.libraryTypes().isEmpty)
        #expect(try fixture.overflowed("total") == 1)
    }

    @Test func `a destroyed counter counts on when it is made again`() throws {
        let fixture = try Fixture()
        let first = fixture.counter("x", [("user", "a")])
        first.increment(by: 5)
        fixture.factory.destroyCounter(first)
        #expect(try fixture.page().value(of: "x_total", ["user": "a"]) == 5)
        fixture.counter("x", [("user", "a")]).increment(by: 1)
        #expect(try fixture.page().value(of: "x_total", ["user": "a"]) == 6)
    }

    @Test func `a gauge vanishes with the last that used it`() throws {
        let fixture = try Fixture()
        let first = fixture.meter("x", [("user", "a")])
        let second = fixture.factory.makeRecorder(label: "x", dimensions: [("user", "a")], aggregate: false)
        first.set(Int64(1))
        fixture.factory.destroyMeter(first)
        fixture.factory.destroyMeter(first)
        #expect(try fixture.page().value(of: "x", ["user": "a"]) == 1)
        fixture.factory.destroyRecorder(second)
        #expect(try fixture.libraryTypes().isEmpty)
        #expect(try fixture.page().value(of: "metrics_adapter_series") == 0)
        first.set(Int64(9))
        fixture.meter("x", [("user", "a")]).increment(by: 2)
        #expect(try fixture.page().value(of: "x", ["user": "a"]) == 2)
    }

    @Test func `the child that was longest without users makes room`() throws {
        let fixture = try Fixture { $0.maximumChildrenPerMetric = 3 }
        let handlers = ["a", "b", "c"].map { fixture.counter("x", [("user", $0)]) }
        for handler in handlers { handler.increment(by: 1) }
        fixture.factory.destroyCounter(handlers[1])
        fixture.factory.destroyCounter(handlers[0])
        fixture.counter("x", [("user", "d")]).increment(by: 1)
        let users = try fixture.page().librarySamples.map { $0.labels["user"] }
        #expect(users == ["a", "c", "d"])
        fixture.counter("x", [("user", "b")]).increment(by: 7)
        let page = try fixture.page()
        #expect(page.value(of: "x_total", ["user": "b"]) == 7)
        #expect(page.value(of: "x_total", ["user": "a"]) == nil)
        #expect(try fixture.overflowed("metric") == 0)
    }

    @Test func `the room of one metric's destroyed children serves another`() throws {
        let fixture = try Fixture { $0.maximumSeries = 20 }
        let handlers = (0..<19).map { fixture.counter("x", [("user", "\($0)")]) }
        fixture.counter("y").increment(by: 1)
        #expect(try fixture.overflowed("total") == 1)
        for handler in handlers { fixture.factory.destroyCounter(handler) }
        fixture.counter("y").increment(by: 1)
        #expect(try fixture.page().value(of: "y_total") == 1)
        #expect(try fixture.page().librarySamples.count == 19)
    }

    @Test func `users that come and go for ever need no more room than those that are there`() throws {
        let fixture = try Fixture { $0.maximumChildrenPerMetric = 10 }
        for user in 0..<1000 {
            let timer = fixture.timer("session", [("user", "\(user)")])
            timer.recordNanoseconds(1)
            fixture.factory.destroyTimer(timer)
        }
        #expect(try fixture.overflowed("metric") == 0)
        #expect(try fixture.page().librarySamples.count { $0.name == "session_seconds_count" } == 10)
    }

    @Test func `nobody resets or removes what all share`() throws {
        let fixture = try Fixture { $0.maximumChildrenPerMetric = 1 }
        fixture.counter("x", [("user", "a")]).increment(by: 1)
        let overflowed = fixture.counter("x", [("user", "b")])
        overflowed.increment(by: 2)
        overflowed.reset()
        fixture.factory.destroyCounter(overflowed)
        #expect(try fixture.page().value(of: "x_total", ["user": "other"]) == 2)
    }

    @Test func `handlers of another factory are not destroyed`() throws {
        let (first, second) = (try Fixture(), try Fixture())
        first.counter("x").increment(by: 1)
        second.factory.destroyCounter(NOOPMetricsHandler.instance)
        #expect(try first.page().value(of: "x_total") == 1)
    }
}
