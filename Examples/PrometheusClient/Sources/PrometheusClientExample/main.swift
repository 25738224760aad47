import CoreMetrics

// Serves some orders and prints the page that a scrape would get: `swift run PrometheusClientExample [ACCEPT]`.
let shop = try Shop()
MetricsSystem.bootstrap(shop.librariesMetrics)
try shop.serveSomeOrders()
let reply = try shop.scrape(accept: CommandLine.arguments.dropFirst().first)
print("Content-Type: \(reply.contentType)\n")
print(String(decoding: reply.body, as: UTF8.self), terminator: "")
