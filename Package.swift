// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),  // `any P` is spelled out
    .enableUpcomingFeature("MemberImportVisibility"),  // import what you use
    .enableUpcomingFeature("InternalImportsByDefault"),  // C modules stay out of the API
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),  // async stays on the caller's executor
    .treatAllWarnings(as: .error),
]
/// For modules that know no C, or no more of it than a number: any unsafe pointer in them is a diagnostic.
let pure = strict + [.strictMemorySafety()]

let strictC: [CSetting] = [.define("_GNU_SOURCE"), .treatAllWarnings(as: .error)]

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let coreMetrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")

let package = Package(
    name: "sandbox-manager",
    products: [
        // Of use without the daemon: docs/PROMETHEUS_CLIENT.md.
        .library(name: "PrometheusClient", targets: ["PrometheusClient"]),
        .library(name: "MetricsAdapter", targets: ["MetricsAdapter"]),
        // For the benchmarks, which are a package of their own.
        .library(name: "RedisClient", targets: ["RedisClient"]),
        .library(name: "SandboxCore", targets: ["SandboxCore"]),
        .library(name: "SystemRuntime", targets: ["SystemRuntime"]),
    ],
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
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: [
        // C: what Swift cannot import by itself.
        .systemLibrary(name: "CCurl"),
        .systemLibrary(name: "CHiredis"),
        .systemLibrary(name: "CMicrohttpd"),
        .target(name: "CShims"),
        .target(name: "CLocalSandbox", cSettings: strictC),
        .executableTarget(
            name: "sandbox-init",
            dependencies: ["CLocalSandbox"],
            cSettings: strictC,
            // Runs where no Swift runtime is: static, and without Swift's start files, which would pull it in.
            linkerSettings: [
                .unsafeFlags(["-static-executable", "-nostartfiles", "-Xlinker", "--gc-sections", "-Xlinker", "-s"])
            ]
        ),

        // The core: no C, no HTTP, no Prometheus.
        .target(
            name: "SandboxCore",
            dependencies: [
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                logging,
            ],
            swiftSettings: pure
        ),

        // Metrics.
        .target(name: "PrometheusClient", dependencies: ["CShims"], swiftSettings: pure),
        .target(name: "MetricsAdapter", dependencies: [coreMetrics, "PrometheusClient"], swiftSettings: pure),
        .target(name: "ManagerMetrics", dependencies: ["PrometheusClient", "SandboxCore"], swiftSettings: pure),

        // Adapters.
        .target(
            name: "SystemRuntime",
            dependencies: [
                "CShims", .product(name: "HeapModule", package: "swift-collections"), "SandboxCore", logging,
            ],
            swiftSettings: strict
        ),
        .target(name: "LoopThread", swiftSettings: strict),
        .target(name: "CurlTransport", dependencies: ["CCurl", httpTypes, "LoopThread"], swiftSettings: strict),
        .target(name: "RedisClient", dependencies: ["CHiredis", "LoopThread"], swiftSettings: strict),
        .target(name: "RedisLeaseStore", dependencies: ["RedisClient", "SandboxCore"], swiftSettings: strict),
        .target(name: "LocalProvider", dependencies: ["CLocalSandbox", "SandboxCore"], swiftSettings: strict),
        .target(
            name: "E2BProvider",
            dependencies: [
                .product(name: "Crypto", package: "swift-crypto"), "CurlTransport", httpTypes, "SandboxCore",
            ],
            swiftSettings: strict
        ),
        .target(name: "SimulatedProvider", dependencies: ["SandboxCore"], swiftSettings: pure),
        .target(name: "HTTPServer", dependencies: ["CMicrohttpd", "CShims", httpTypes], swiftSettings: strict),
        .target(
            name: "ControlAPI",
            dependencies: ["HTTPServer", httpTypes, "ManagerMetrics", "PrometheusClient", "SandboxCore", logging],
            swiftSettings: strict
        ),

        // The daemon.
        .target(
            name: "DaemonConfiguration",
            dependencies: [
                arguments, .product(name: "Configuration", package: "swift-configuration"), "RedisClient",
                "SandboxCore",
            ],
            swiftSettings: strict
        ),
        // What an operator tells a running daemon.
        .target(name: "OperatorClient", dependencies: ["CurlTransport", httpTypes], swiftSettings: strict),
        // Alerts tried out on the real daemon, with a real Prometheus and real causes.
        .target(name: "Drills", dependencies: ["CurlTransport", "FakeE2B", httpTypes], swiftSettings: strict),
        .executableTarget(
            name: "sandbox-manager",
            dependencies: [
                arguments, "ControlAPI", "CurlTransport", "DaemonConfiguration", "Drills", "E2BProvider", "HTTPServer",
                "LocalProvider", logging, "ManagerMetrics", "OperatorClient", "RedisClient", "RedisLeaseStore",
                "sandbox-init", "SandboxCore",
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                "SimulatedProvider", "SystemRuntime",
            ],
            swiftSettings: strict
        ),

        // Tests: what they share, then one target for each module.
        .target(name: "TestSupport", dependencies: ["LoopThread", "SandboxCore"], swiftSettings: strict),
        // What the simulation shares with tests: a stand-in for a shared store, and random bits under a seed.
        .target(name: "StandIns", dependencies: ["SandboxCore"], swiftSettings: strict),
        // The core, a fleet of it, under one seed: docs/SIMULATION.md.
        .target(name: "Simulation", dependencies: [logging, "SandboxCore", "StandIns"], swiftSettings: strict),
        .executableTarget(name: "simulate", dependencies: [arguments, "Simulation"], swiftSettings: strict),
        // A stand-in for E2B's cloud, which drills use too, and a program of it for tests in other languages.
        .target(name: "FakeE2B", dependencies: ["LoopThread"], swiftSettings: strict),
        .executableTarget(name: "fake-e2b", dependencies: [arguments, "FakeE2B"], swiftSettings: strict),
        .executableTarget(
            name: "LocalProviderProbe",
            dependencies: ["LocalProvider", "SandboxCore"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ControlAPITests",
            dependencies: [
                "ControlAPI", "HTTPServer", httpTypes, logging, "ManagerMetrics", "PrometheusClient", "SandboxCore",
                "SimulatedProvider", "SystemRuntime", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "CurlTransportTests",
            dependencies: ["CurlTransport", httpTypes, "LoopThread", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DaemonConfigurationTests",
            dependencies: [arguments, "DaemonConfiguration", "RedisClient", "SandboxCore"],
            swiftSettings: strict
        ),
        .testTarget(name: "DrillsTests", dependencies: ["Drills"], swiftSettings: strict),
        .testTarget(
            name: "E2BProviderTests",
            dependencies: [
                "CurlTransport", "E2BProvider", "FakeE2B", httpTypes, logging, "SandboxCore", "SystemRuntime",
            ],
            swiftSettings: strict
        ),
        // Replays the corpus of the fuzzers, whose package in Fuzz/ compiles the same properties.
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "ControlAPI", coreMetrics, "CurlTransport", "DaemonConfiguration", "E2BProvider", "HTTPServer",
                httpTypes, "ManagerMetrics", "MetricsAdapter", "OperatorClient", "PrometheusClient", "RedisClient",
                "RedisLeaseStore", "SandboxCore", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "HTTPServerTests",
            dependencies: ["HTTPServer", httpTypes, "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "LocalProviderTests",
            dependencies: ["CLocalSandbox", "LocalProvider", "LocalProviderProbe", "sandbox-init", "SandboxCore"],
            swiftSettings: strict
        ),
        .testTarget(name: "LoopThreadTests", dependencies: ["LoopThread"], swiftSettings: strict),
        .testTarget(
            name: "ManagerMetricsTests",
            dependencies: [
                "ManagerMetrics", "PrometheusClient", "RedisClient", "SandboxCore", "SimulatedProvider",
                "SystemRuntime", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "OperatorClientTests",
            dependencies: ["OperatorClient", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "MetricsAdapterTests",
            dependencies: [coreMetrics, "MetricsAdapter", "PrometheusClient", "StandIns", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "PrometheusClientTests",
            dependencies: ["PrometheusClient", "StandIns", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "RedisClientTests",
            dependencies: ["LoopThread", "RedisClient", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "RedisLeaseStoreTests",
            dependencies: ["RedisClient", "RedisLeaseStore", "SandboxCore", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SandboxCoreTests",
            dependencies: [logging, "SandboxCore", "StandIns", "TestSupport"],
            swiftSettings: pure
        ),
        .testTarget(
            name: "SimulatedProviderTests",
            dependencies: ["SandboxCore", "SimulatedProvider"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SimulationTests",
            dependencies: ["simulate", "Simulation"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SystemRuntimeTests",
            dependencies: [logging, "SandboxCore", "SystemRuntime"],
            swiftSettings: strict
        ),
    ]
)
