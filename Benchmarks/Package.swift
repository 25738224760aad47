// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

// A package of its own, so that building the daemon does not build what only measures.
let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(name: "sandbox-manager", path: ".."),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    ],
    targets: [
        // Counts what malloc is asked for: linked into a program, or put before one with LD_PRELOAD.
        .target(name: "CAllocations", cSettings: [.define("_GNU_SOURCE"), .treatAllWarnings(as: .error)]),
        .executableTarget(
            name: "growth-benchmark",
            dependencies: [
                .product(name: "SandboxCore", package: "sandbox-manager"),
                .product(name: "SystemRuntime", package: "sandbox-manager"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "metrics-benchmark",
            dependencies: ["CAllocations", .product(name: "PrometheusClient", package: "sandbox-manager")],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "redis-client-benchmark",
            dependencies: [.product(name: "RedisClient", package: "sandbox-manager")],
            swiftSettings: strict
        ),
    ]
)
