import PrometheusClient
import Synchronization
import TestSupport
import Testing

/// Shared by the tasks of a test; an atomic can't be captured by itself.
private final class Shared: Sendable {
    let isDone = Atomic(false)
    let serial = Atomic(0)
}

@Suite struct ConcurrentScrapeTests {
    @Test(.timeLimit(.minutes(1)), arguments: ExpositionFormat.allCases)
    func `every page is consistent while many tasks observe`(format: ExpositionFormat) async throws {
        let registry = MetricRegistry()
        let bounds = [0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 5]
        let histograms = try registry.histogram("h_seconds", help: "H.", by: Operation.self, buckets: bounds)
        let counters = try registry.counter("c_total", help: "C.", by: Operation.self)
        let seconds = try registry.doubleCounter("s_seconds_total", help: "S.")
        let shared = Shared()

        let (observations, pages) = try await withThrowingTaskGroup(of: Int.self) { group in
            for worker in 0..<3 {
                group.addTask {
                    var round = 0
                    while !shared.isDone.load(ordering: .acquiring) {
                        let label = Operation.allCases[(round &+ worker) % 3]
                        histograms.observe(label, Double(round % 7) * 0.25)
                        counters.increment(label)
                        seconds.increment(by: 0.5)
                        round += 1
                        if round % 2000 == 0 { await Task.yield() }
                    }
                    return round
                }
            }
            // Pages are checked later, so that many are made while the tasks observe. Only those count that differ from
            // the one before: when nothing changes no task is running, and this one makes room.
            var pages: [[UInt8]] = []
            while pages.count < 150 {
                let page = try registry.render(format)
                if page == pages.last {
                    await Task.yield()
                } else {
                    pages.append(page)
                }
            }
            shared.isDone.store(true, ordering: .releasing)
            let observations = try await group.reduce(0, +)
            return (observations, pages)
        }

        var previous: Exposition?
        for page in pages + [try registry.render(format)] {
            #expect(ExpositionChecker.problems(in: page, format: format.checked) == [])
            let current = Exposition.parse(String(decoding: page, as: UTF8.self))
            if let previous { #expect(Exposition.compare(previous: previous, current: current) == []) }
            previous = current
        }
        let final = try #require(previous)
        #expect(final.sum(of: "h_seconds_count") == Double(observations))
        #expect(final.sum(of: "c_total") == Double(observations))
        #expect(final.value(of: "s_seconds_total") == Double(observations) / 2)
    }

    @Test(.timeLimit(.minutes(1)))
    func `one page shows one collector's snapshot`() async throws {
        let registry = MetricRegistry()
        let first = try registry.gauge("a", help: "A.")
        let last = try registry.gauge("z", help: "Z.")
        let shared = Shared()
        registry.onCollect("snapshot") {
            let value = shared.serial.add(1, ordering: .relaxed).newValue
            first.set(value)
            last.set(value)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<500 {
                        let page = Exposition.parse(try registry.text(.text))
                        #expect(page.value(of: "a") == page.value(of: "z"))
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `metrics registered while pages are made appear and stay`() async throws {
        let registry = MetricRegistry()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 0..<100 { _ = try registry.counter("c\(number)_total", help: "C.") }
            }
            group.addTask {
                for _ in 0..<100 {
                    let page = try registry.render(.openMetrics)
                    #expect(ExpositionChecker.problems(in: page, format: .openMetrics) == [])
                }
            }
            try await group.waitForAll()
        }
        #expect(registry.metrics.count == 100)
    }
}
