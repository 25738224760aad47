import CoreMetrics
import MetricsAdapter
import PrometheusClient
import TestSupport
import Testing

/// A factory on a registry of its own, and what a scrape sees of it.
struct Fixture {
    let registry = MetricRegistry()
    let factory: PrometheusMetricsFactory

    init(_ configure: (inout PrometheusMetricsConfiguration) -> Void = { _ in }) throws {
        var configuration = PrometheusMetricsConfiguration()
        configure(&configuration)
        factory = try PrometheusMetricsFactory(registry: registry, configuration: configuration)
    }

    /// The page, which must be right in both formats.
    func page(sourceLocation: SourceLocation = #_sourceLocation) throws -> Exposition {
        let page = try registry.render(.text)
        #expect(ExpositionChecker.problems(in: page, format: .text) == [], sourceLocation: sourceLocation)
        let other = try registry.render(.openMetrics)
        #expect(ExpositionChecker.problems(in: other, format: .openMetrics) == [], sourceLocation: sourceLocation)
        return Exposition.parse(String(decoding: page, as: UTF8.self))
    }

    /// The page's metrics of libraries, by name.
    func libraryTypes() throws -> [String: String] {
        try page().types.filter { !$0.key.contains("metrics_adapter_") }
    }

    func conflicts(_ reason: String) throws -> Double? {
        try page().value(of: "metrics_adapter_conflicts_total", ["reason": reason])
    }

    func overflowed(_ bound: String) throws -> Double? {
        try page().value(of: "metrics_adapter_overflowed_total", ["bound": bound])
    }

    func counter(_ label: String, _ dimensions: [(String, String)] = []) -> any CounterHandler {
        factory.makeCounter(label: label, dimensions: dimensions)
    }

    func meter(_ label: String, _ dimensions: [(String, String)] = []) -> any MeterHandler {
        factory.makeMeter(label: label, dimensions: dimensions)
    }

    func timer(_ label: String, _ dimensions: [(String, String)] = []) -> any TimerHandler {
        factory.makeTimer(label: label, dimensions: dimensions)
    }
}

extension Exposition {
    /// Of libraries' metrics alone.
    var librarySamples: [Sample] { samples.filter { !$0.name.contains("metrics_adapter_") } }
}
