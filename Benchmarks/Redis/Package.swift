// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that the daemon's has no product that only measures.
let package = Package(
    name: "redis-client-benchmark",
    dependencies: [.package(name: "sandbox-manager", path: "../..")],
    targets: [
        .executableTarget(
            name: "redis-client-benchmark",
            dependencies: [.product(name: "RedisClient", package: "sandbox-manager")],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
                .treatAllWarnings(as: .error),
            ]
        )
    ]
)
