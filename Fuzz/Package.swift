// swift-tools-version: 6.2
import PackageDescription

// Coverage-guided fuzzing of everything that reads what others wrote; see docs/FUZZING.md.
//
// A package of its own: libFuzzer needs flags that no package may ask of those who depend on it. `Product` is a link to
// the daemon's sources, so that they are compiled here a second time, instrumented, and with their internals open to
// `@testable import`; nothing of the daemon's own package becomes public for that.

let instrumented: [String] = [
    "-sanitize=address", "-sanitize-coverage=edge,trace-cmp,inline-8bit-counters,pc-table",
]

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .unsafeFlags(["-enable-testing"] + instrumented),
]

func product(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Product/\(name)", swiftSettings: settings)
}

func library(_ name: String) -> Target { .systemLibrary(name: name, path: "Product/\(name)") }

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let coreMetrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")

let package = Package(
    name: "fuzz",
    // The versions of the daemon's own manifest.
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(
            url: "https://github.com/apple/swift-configuration",
            exact: "1.4.0",
            traits: [.defaults, "YAML", "CommandLineArguments"]
        ),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", exact: "2.13.0"),
    ],
    targets: [
        library("CCurl"),
        library("CHiredis"),
        library("CMicrohttpd"),
        .target(name: "CShims", path: "Product/CShims"),
        product("SandboxCore", [deque, heap, logging]),
        product("PrometheusClient", ["CShims"]),
        product("MetricsAdapter", [coreMetrics, "PrometheusClient"]),
        product("ManagerMetrics", ["PrometheusClient", "SandboxCore"]),
        product("LoopThread"),
        product("CurlTransport", ["CCurl", httpTypes, "LoopThread"]),
        product("RedisClient", ["CHiredis", "LoopThread"]),
        product("RedisLeaseStore", ["RedisClient", "SandboxCore"]),
        product(
            "E2BProvider",
            [.product(name: "Crypto", package: "swift-crypto"), "CurlTransport", httpTypes, "SandboxCore"]
        ),
        product("HTTPServer", ["CMicrohttpd", "CShims", httpTypes]),
        product(
            "ControlAPI",
            ["HTTPServer", httpTypes, "ManagerMetrics", "PrometheusClient", "SandboxCore", logging]
        ),
        product(
            "DaemonConfiguration",
            [
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"), "RedisClient", "SandboxCore",
            ]
        ),
        product("OperatorClient", ["CurlTransport", httpTypes]),
        product("TestSupport", ["LoopThread", "SandboxCore"]),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "CHiredis", "ControlAPI", coreMetrics, "CurlTransport", "DaemonConfiguration", "E2BProvider",
                "HTTPServer", httpTypes, "ManagerMetrics", "MetricsAdapter", "OperatorClient", "PrometheusClient",
                "RedisClient", "RedisLeaseStore", "SandboxCore", "TestSupport",
            ],
            swiftSettings: settings,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]
        ),
    ]
)
