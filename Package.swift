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
/// For modules that know no C: any unsafe pointer in them is a diagnostic.
let pure = strict + [.strictMemorySafety()]

let package = Package(
    name: "sandbox-manager",
    dependencies: [
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    ],
    targets: [
        .target(
            name: "SandboxCore",
            dependencies: [
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: pure
        ),
        .target(name: "TestSupport", dependencies: ["SandboxCore"], swiftSettings: pure),
        .testTarget(
            name: "SandboxCoreTests",
            dependencies: ["SandboxCore", "TestSupport"],
            swiftSettings: pure
        ),
    ]
)
