import PrometheusClient
import TestSupport
import Testing

/// `Shop.swift` is the example's, by a symbolic link.
@Suite struct ExampleTests {
    @Test func `the example's page is right in both formats and shows both kinds of metrics`() throws {
        let shop = try Shop()
        try shop.serveSomeOrders()
        let text = try shop.scrape(accept: nil)
        #expect(ExpositionChecker.problems(inContentType: text.contentType, format: .text) == [])
        #expect(ExpositionChecker.problems(in: text.body, format: .text) == [])
        let open = try shop.scrape(accept: "application/openmetrics-text")
        #expect(ExpositionChecker.problems(inContentType: open.contentType, format: .openMetrics) == [])
        #expect(ExpositionChecker.problems(in: open.body, format: .openMetrics) == [])

        let page = Exposition.parse(String(decoding: text.body, as: UTF8.self))
        #expect(page.value(of: "shop_orders_total", ["till": "web", "result": "paid"]) == 3)
        #expect(page.value(of: "shop_orders_total", ["till": "desk", "result": "paid"]) == 0)
        #expect(page.value(of: "shop_stock_items") == 12)
        #expect(page.value(of: "mail_sent_total", ["template": "order \"confirmed\""]) == 3)
        #expect(page.value(of: "mail_delivery_seconds_bucket", ["le": "0.25"]) == 1)
    }
}
