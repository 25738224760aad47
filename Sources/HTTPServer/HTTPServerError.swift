/// Why a server did not start.
public enum HTTPServerError: Error, Hashable, Sendable {
    /// Another process (or server) listens on this address and port.
    case addressInUse(host: String, port: Int)
    /// This process may not bind the port (below 1,024 without the privilege, or forbidden by policy).
    case permissionDenied(host: String, port: Int)
    /// No interface of this machine has the address.
    case addressUnavailable(host: String)
    /// The host is not a numeric IPv4 or IPv6 address; names are not looked up.
    case invalidAddress(host: String)
    /// The configuration cannot work; every fault in words.
    case invalidConfiguration([String])
    /// `start()` was called on a server that runs or is still stopping.
    case alreadyRunning
    /// A system call failed for another reason; `code` is errno.
    case system(operation: String, code: Int32)
    /// libmicrohttpd refused to start and does not say why; most often no thread or descriptor was left.
    case libraryRefused
}

extension HTTPServerError: CustomStringConvertible {
    /// One sentence for the operator.
    public var description: String {
        switch self {
        case .addressInUse(let host, let port): "\(host) port \(port) is in use by another process"
        case .permissionDenied(let host, let port): "no permission to listen on \(host) port \(port)"
        case .addressUnavailable(let host): "no interface of this machine has the address \(host)"
        case .invalidAddress(let host): "\(host) is not a numeric IPv4 or IPv6 address"
        case .invalidConfiguration(let faults): faults.joined(separator: "; ")
        case .alreadyRunning: "the server is already running"
        case .system(let operation, let code): "\(operation) failed with errno \(code)"
        case .libraryRefused: "libmicrohttpd could not start, perhaps for lack of threads or file descriptors"
        }
    }
}
