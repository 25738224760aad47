import CoreMetrics
import MetricsAdapter
import PrometheusClient

// MARK: Labels are enums

/// How an order ended. Each case has a series from the start, at 0, and there can be no other.
enum OrderResult: String, MetricLabel {
    case paid, refused
    case outOfStock = "out_of_stock"

    static var labelName: String { "result" }
}

/// Which till took it.
enum Till: String, MetricLabel {
    case web, desk

    static var labelName: String { "till" }
}

// MARK: Metrics are values

/// All metrics of the shop, registered together, so that a wrong name shows at start and not at some later update.
struct ShopMetrics: Sendable {
    let orders: CounterFamily2<Till, OrderResult>
    let duration: HistogramFamily<Till>
    let stock: PrometheusClient.Gauge
    let turnover: DoubleCounter

    init(_ registry: MetricRegistry) throws(MetricError) {
        orders = try registry.counter(
            "shop_orders_total",
            help: "Orders by till and result.",
            by: Till.self,
            OrderResult.self
        )
        duration = try registry.histogram(
            "shop_order_duration_seconds",
            help: "Time from order to result.",
            by: Till.self,
            buckets: [0.01, 0.1, 1, 10]
        )
        stock = try registry.gauge("shop_stock_items", help: "Items on the shelf.")
        turnover = try registry.doubleCounter("shop_turnover_euros_total", help: "Money taken.")
    }
}

// MARK: The program

/// A shop that counts what it does, and puts what its libraries count on the same page.
final class Shop: Sendable {
    let registry = MetricRegistry()
    /// What `MetricsSystem.bootstrap` is to be given.
    let librariesMetrics: PrometheusMetricsFactory
    private let metrics: ShopMetrics

    init() throws {
        metrics = try ShopMetrics(registry)
        var configuration = PrometheusMetricsConfiguration()
        configuration.maximumSeries = 200
        librariesMetrics = try PrometheusMetricsFactory(registry: registry, configuration: configuration)
        // Sizes are read when a page is made, from wherever they are kept.
        registry.onCollect("stock") { [metrics] in metrics.stock.set(Shelf.itemsLeft) }
    }

    func serveSomeOrders() throws {
        metrics.orders.increment(.web, .paid, by: 3)
        metrics.orders.increment(.desk, .outOfStock)
        metrics.duration.observe(.web, .milliseconds(40))
        metrics.duration.observe(.web, .milliseconds(250))
        metrics.turnover.increment(by: 59.97)
        // A library knows only swift-metrics; it is not told which factory there is.
        CoreMetrics.Counter(
            label: "mail.sent",
            dimensions: [("template", "order \"confirmed\"")],
            factory: librariesMetrics
        ).increment(by: 3)
        Timer(label: "mail.delivery", factory: librariesMetrics).recordMilliseconds(120)
    }

    /// What the HTTP server replies to `GET /metrics`, with the request's `Accept` header.
    func scrape(accept: String?) throws(MetricError) -> (contentType: String, body: [UInt8]) {
        let format = ExpositionFormat.negotiate(acceptHeader: accept)
        return (format.contentType, try registry.render(format))
    }
}

enum Shelf {
    static var itemsLeft: Int { 12 }
}
