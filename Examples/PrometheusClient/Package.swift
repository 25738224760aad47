// swift-tools-version: 6.2
import PackageDescription

// A package of its own, as an application would have it; the daemon's build does not know it.
let package = Package(
    name: "prometheus-client-example",
    dependencies: [
        .package(name: "sandbox-manager", path: "../.."),
        .package(url: "https://github.com/apple/swift-metrics", exact: "2.13.0"),
    ],
    targets: [
        .executableTarget(
            name: "PrometheusClientExample",
            dependencies: [
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "MetricsAdapter", package: "sandbox-manager"),
                .product(name: "PrometheusClient", package: "sandbox-manager"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]
        )
    ]
)
