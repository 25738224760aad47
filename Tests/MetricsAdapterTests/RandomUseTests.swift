import CoreMetrics
import MetricsAdapter
import PrometheusClient
import Synchronization
import StandIns
import TestSupport
import Testing

@Suite struct RandomUseTests {
    /// What was made and not destroyed.
    private enum Handler {
        case counter(any CounterHandler), meter(any MeterHandler), timer(any TimerHandler)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `any sequence of uses leaves right pages within the bounds`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let fixture = try Fixture {
            $0.maximumSeries = 60
            $0.maximumChildrenPerMetric = 4
            $0.timerBuckets = [0.5, 1]
        }
        let labels = ["a.b", "a_b", "a_b_total", "a.b.seconds", "b_sum", "", "ü", "x"]
        var handlers: [Handler] = []
        for step in 0..<300 {
            let label = labels.randomElement(using: &random) ?? ""
            let dimensions = ["x", "y.z", "le"].filter { _ in .random(using: &random) }
                .map { ($0, "v\(Int.random(in: 0..<8, using: &random))\"\\\n") }
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                let counter = fixture.counter(label, dimensions)
                counter.increment(by: .random(in: -1...5, using: &random))
                handlers.append(.counter(counter))
            case 1:
                let meter = fixture.meter(label, dimensions)
                meter.set(Double.random(in: -5...5, using: &random))
                handlers.append(.meter(meter))
            case 2:
                let timer = fixture.timer(label, dimensions)
                timer.recordNanoseconds(.random(in: 0...2_000_000_000, using: &random))
                handlers.append(.timer(timer))
            default:
                guard let index = handlers.indices.randomElement(using: &random) else { continue }
                destroy(handlers.remove(at: index), fixture.factory)
            }
            if step % 20 == 0 {
                let page = try fixture.page()
                #expect(page.librarySamples.count <= 60, "seed \(seed), step \(step)")
                #expect(page.value(of: "metrics_adapter_series") == Double(page.librarySamples.count))
            }
        }
    }

    private func destroy(_ handler: Handler, _ factory: PrometheusMetricsFactory) {
        switch handler {
        case .counter(let handler): factory.destroyCounter(handler)
        case .meter(let handler): factory.destroyMeter(handler)
        case .timer(let handler): factory.destroyTimer(handler)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `nothing is lost while tasks make, use and destroy, and every page is right`() async throws {
        let fixture = try Fixture { $0.maximumChildrenPerMetric = 5 }
        let rounds = 3000
        let done = Finished()
        let pages = try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    for round in 0..<rounds {
                        // Held by nobody else, so that it is destroyed for good again and again.
                        let own = fixture.meter("own", [("worker", "\(worker)"), ("round", "\(round % 3)")])
                        own.increment(by: 1)
                        // More than there is room for, and never destroyed, so that none is lost.
                        fixture.counter("shared", [("user", "\(round % 9)")]).increment(by: 1)
                        fixture.timer("time").recordNanoseconds(1_000_000)
                        fixture.factory.destroyMeter(own)
                        if round % 500 == 0 { await Task.yield() }
                    }
                    done.count.add(1, ordering: .releasing)
                }
            }
            var pages: [[UInt8]] = []
            while done.count.load(ordering: .acquiring) < 4 || pages.count < 10 {
                if pages.count < 100 { pages.append(try fixture.registry.render(.openMetrics)) }
                await Task.yield()
            }
            try await group.waitForAll()
            return pages
        }
        for page in pages { #expect(ExpositionChecker.problems(in: page, format: .openMetrics) == []) }
        let last = try fixture.page()
        #expect(last.sum(of: "shared_total") == Double(4 * rounds))
        #expect(last.value(of: "time_seconds_count") == Double(4 * rounds))
        #expect(last.types["own"] == nil)
    }
}

private final class Finished: Sendable {
    let count = Atomic(0)
}
