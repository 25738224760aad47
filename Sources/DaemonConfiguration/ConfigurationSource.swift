/// Where a value, or a fault, came from.
public enum ConfigurationSource: Sendable, Hashable, CustomStringConvertible {
    /// A flag, by name.
    case flag(String)
    /// The command line as a whole: an argument that is no flag.
    case commandLine
    /// An environment variable, by name.
    case environment(String)
    /// The file, by path.
    case file(String)
    /// Nobody set it.
    case builtIn

    /// The source in words, as reports print it.
    public var description: String {
        switch self {
        case .flag(let name): "flag \(printable(name))"
        case .commandLine: "command line"
        case .environment(let name): "environment \(printable(name))"
        case .file(let path): "file \(printable(path, limit: 256))"
        case .builtIn: "default"
        }
    }
}
