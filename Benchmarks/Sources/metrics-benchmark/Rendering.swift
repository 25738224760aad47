internal import PrometheusClient

/// A page of 10,000 series beside copying its bytes.
struct Rendering {
    private static let series = 10_000

    private let pages: Int
    private let registry = MetricRegistry()

    init(pages: Int) throws {
        self.pages = pages
        // As other clients were measured: counters of a few families with two labels, and numbers of some length.
        for family in 0..<10 {
            let rows = (0..<Self.series / 10).map { ["route\($0 % 25)", "code\($0)"] }
            let counters = try registry.counterTable(
                "benchmark_requests\(family)_total",
                help: "Requests.",
                labelNames: ["route", "code"],
                rows: rows
            )
            for row in rows.indices { counters.increment(row: row, by: 1000 + 7 * row) }
        }
    }

    func measure() throws {
        var page = try registry.render(.text)
        var copy = [UInt8](repeating: 0, count: page.count)
        let copied = nanoseconds(pages) {
            copy.withUnsafeMutableBytes { target in
                page.withUnsafeBytes { source in target.copyMemory(from: source) }
            }
            touch(copy)
        }
        let rendered = try nanoseconds(pages) {
            try registry.render(.text, into: &page)
            touch(page)
        }
        report("render-10000", rendered / 1e6, copied / 1e6)
    }

    func countAllocations() throws {
        var page: [UInt8] = []
        let count = try allocations(10) {
            try registry.render(.text, into: &page)
            touch(page)
        }
        report("render-allocations", count, 0)
    }
}

/// Keeps the compiler from leaving out what made `bytes`.
@inline(never)
private func touch(_ bytes: [UInt8]) {
    precondition(!bytes.isEmpty)
}
