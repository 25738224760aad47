import Synchronization

/// All metrics of a process or of a test, and the pages made of them.
///
/// There is no default registry: whoever counts is given the instruments it needs. Metrics can be registered at any
/// time, by any thread, and stay for good, so no series ever vanishes.
public final class MetricRegistry: Sendable {
    private struct Collector: Sendable {
        let name: String
        let collect: @Sendable () throws -> Void
    }

    private struct State {
        var familiesByFormat: [ExpositionFormat: [MetricFamily]] = [:]
        var claimedNames: Set<String> = []
        var collectors: [Collector] = []
    }

    private static let openMetricsEnd = Array("# EOF\n".utf8)

    private let state = Mutex(State())
    // The size of the last page, and the turn to make one; see `render`.
    private let lastPageSize = Mutex(0)
    let rejected = RejectedUpdates()

    /// Makes an empty registry.
    public init() {}

    /// How many updates were refused because they would have broken a metric: a negative increment, an observation of
    /// NaN, a label pair without a child, a row out of range. Not 0 means a bug in the caller.
    public var rejectedUpdates: UInt64 { rejected.value }

    /// Everything registered, sorted by name.
    public var metrics: [MetricDescription] {
        state.withLock { $0.familiesByFormat[.text] ?? [] }.map(\.description)
    }

    /// Adds a closure that runs before each page is made, in the order added; it sets gauges from a snapshot and
    /// advances counters kept elsewhere.
    ///
    /// Pages are made one after the other, so one page shows one collector's snapshot and not a mixture of two. The
    /// closure must be quick, must not wait for anything, and must not render a page of the same registry.
    ///
    /// - Parameters:
    ///   - name: Names the collector in ``MetricError/collectorFailed(collector:reason:)``.
    ///   - collect: If it throws, no page is made.
    public func onCollect(_ name: String, _ collect: @escaping @Sendable () throws -> Void) {
        state.withLock { $0.collectors.append(Collector(name: name, collect: collect)) }
    }

    /// Runs the collectors and makes a page of all metrics, sorted by family and by label values, in UTF-8.
    ///
    /// Metrics may be updated meanwhile. It does not suspend, and waits only for other pages in the making.
    ///
    /// - Throws: ``MetricError/collectorFailed(collector:reason:)``; then there is no page at all, rather than half.
    public func render(_ format: ExpositionFormat) throws(MetricError) -> [UInt8] {
        var page: [UInt8] = []
        try render(format, into: &page)
        return page
    }

    /// Like ``render(_:)``, and keeps the memory of an earlier page: with one that nobody else holds, nothing is allocated
    /// once it is large enough.
    ///
    /// - Parameters:
    ///   - format: How the page is written.
    ///   - page: Replaced by the new page; empty if there is none.
    /// - Throws: ``MetricError/collectorFailed(collector:reason:)``.
    public func render(_ format: ExpositionFormat, into page: inout [UInt8]) throws(MetricError) {
        page.removeAll(keepingCapacity: true)
        // The one lock held while calling out: it is taken for nothing but making pages, and collectors make none.
        try lastPageSize.withLock { lastPageSize throws(MetricError) in
            let (collectors, families) = state.withLock { ($0.collectors, $0.familiesByFormat[format] ?? []) }
            for collector in collectors {
                do {
                    try collector.collect()
                } catch {
                    throw .collectorFailed(collector: collector.name, reason: String(describing: error))
                }
            }
            if page.capacity < lastPageSize { page.reserveCapacity(lastPageSize + lastPageSize / 8) }
            var writer = SampleWriter(page)
            page = []
            for family in families { family.write(to: &writer, format: format) }
            if format == .openMetrics { writer.write(Self.openMetricsEnd) }
            page = writer.page
            lastPageSize = page.count
        }
    }

    /// Checks and adds a metric.
    ///
    /// - Parameters:
    ///   - name: The complete name.
    ///   - type: What is printed in the TYPE line.
    ///   - help: Printed in the HELP line.
    ///   - labelNames: In printing order.
    ///   - rows: The label values of each child.
    ///   - bounds: A histogram's bounds.
    ///   - makeChild: Called once for each row.
    /// - Returns: The children in the order of `rows`.
    /// - Throws: What is wrong with the names, labels or bounds; then nothing was added.
    func register<Child: Instrument>(
        _ name: String,
        type: MetricType,
        help: String,
        labelNames: [String],
        rows: [[String]],
        bounds: [Double] = [],
        makeChild: () -> Child
    ) throws(MetricError) -> [Child] {
        try NameRules.checkMetric(name: name, type: type, help: help)
        try NameRules.checkLabels(name: name, labelNames: labelNames, rows: rows)
        if type == .histogram { try NameRules.checkBuckets(name: name, bounds: bounds) }

        let children = rows.map { _ in makeChild() }
        let sorted = zip(rows, children).sorted { first, second in
            let difference = zip(first.0, second.0).first { !$0.utf8.elementsEqual($1.utf8) }
            return difference.map { $0.precedesInBytes($1) } ?? false
        }
        let description = MetricDescription(
            name: name,
            type: type,
            help: help,
            labelNames: labelNames,
            labelValues: sorted.map(\.0),
            bucketBounds: bounds
        )
        try add(MetricFamily(description: description, children: sorted.map(\.1)))
        return children
    }

    /// Checks and adds a family without children so far.
    ///
    /// - Parameters:
    ///   - name: The complete name.
    ///   - type: What is printed in the TYPE line.
    ///   - help: Printed in the HELP line.
    ///   - labelNames: In printing order.
    ///   - bounds: A histogram's bounds.
    /// - Returns: Where children are added and removed.
    /// - Throws: What is wrong with the names or bounds; then nothing was added.
    func registerOpen(
        _ name: String,
        type: MetricType,
        help: String,
        labelNames: [String],
        bounds: [Double] = []
    ) throws(MetricError) -> OpenSeries {
        try NameRules.checkMetric(name: name, type: type, help: help)
        try NameRules.checkLabelNames(name: name, labelNames: labelNames)
        if type == .histogram { try NameRules.checkBuckets(name: name, bounds: bounds) }
        let series = OpenSeries(
            MetricDescription(
                name: name,
                type: type,
                help: help,
                labelNames: labelNames,
                labelValues: [],
                bucketBounds: bounds
            )
        )
        try add(MetricFamily(series))
        return series
    }

    private func add(_ family: MetricFamily) throws(MetricError) {
        let names = NameRules.claimedNames(name: family.name, type: family.type)
        try state.withLock { state throws(MetricError) in
            for name in names where state.claimedNames.contains(name) {
                throw .nameTaken(name: family.name, clashing: name)
            }
            state.claimedNames.formUnion(names)
            for format in ExpositionFormat.allCases {
                var families = state.familiesByFormat[format] ?? []
                let name = family.name(in: format)
                let position = families.firstIndex { name.precedesInBytes($0.name(in: format)) }
                families.insert(family, at: position ?? families.endIndex)
                state.familiesByFormat[format] = families
            }
        }
    }
}
