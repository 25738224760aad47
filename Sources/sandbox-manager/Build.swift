/// Which build this is.
enum Build {
    static let version = "0.1.0"
    static let swiftVersion = "6.3"

    /// The commit, as `scripts/run.sh` names it; a plain `swift build` does not know it.
    static var revision: String { ProcessEnvironment.variables["BUILD_REVISION"] ?? "unknown" }
}
