internal import SandboxCore

/// What a body may say, read strictly: nothing is guessed, ignored or clamped.
enum RequestBody {
    /// The longest time limit of a command.
    static let longestExec: Duration = .seconds(3600)
    /// The time limit of a command whose caller names none.
    static let defaultExec: Duration = .seconds(60)

    static func acquireOptions(_ body: [UInt8]) throws(ManagerError) -> AcquireOptions {
        var options = AcquireOptions()
        guard !body.isEmpty else { return options }
        // Sorted, so that of several faults always the same one is told.
        for (name, value) in try fields(body).sorted(by: { $0.key < $1.key }) {
            switch (name, value) {
            case (_, .null):
                if !["template", "metadata", "envs", "timeout_seconds"].contains(name) { throw unknown(name) }
            case ("template", let value): options.template = try text(value, name)
            case ("metadata", let value): options.metadata = try texts(value, name)
            case ("envs", let value): options.environment = try texts(value, name).mapValues { Secret($0) }
            case ("timeout_seconds", let value): options.idleTimeout = try duration(value, name)
            default: throw unknown(name)
            }
        }
        return options
    }

    static func execRequest(_ body: [UInt8]) throws(ManagerError) -> ExecRequest {
        var request = ExecRequest(command: [], timeout: defaultExec)
        for (name, value) in try fields(body).sorted(by: { $0.key < $1.key }) {
            switch (name, value) {
            case ("stdin", .null), ("timeout_seconds", .null): break
            case ("command", .list(let items)):
                for item in items { request.command.append(try text(item, "each element of command")) }
            case ("command", _): throw .invalidArgument("command must be a list of strings")
            case ("stdin", let value): request.standardInput = Array(try text(value, name).utf8)
            case ("timeout_seconds", let value): request.timeout = try duration(value, name)
            default: throw unknown(name)
            }
        }
        guard let program = request.command.first, !program.isEmpty else {
            throw .invalidArgument("command must name a program")
        }
        guard !request.command.contains(where: { $0.utf8.contains(0) }) else {
            throw .invalidArgument("command has a NUL character")
        }
        guard request.timeout > .zero, request.timeout <= longestExec else {
            throw .invalidArgument("timeout_seconds must be above 0 and at most \(longestExec.components.seconds)")
        }
        return request
    }

    private static func fields(_ body: [UInt8]) throws(ManagerError) -> [String: JSONValue] {
        let value: JSONValue
        do throws(JSONReader.Fault) {
            value = try JSONReader.read(body)
        } catch {
            throw .invalidArgument(error.words)
        }
        guard case .object(let fields) = value else { throw .invalidArgument("the body must be a JSON object") }
        return fields
    }

    private static func text(_ value: JSONValue, _ name: String) throws(ManagerError) -> String {
        guard case .text(let text) = value else { throw .invalidArgument("\(name) must be a string") }
        return text
    }

    private static func texts(_ value: JSONValue, _ name: String) throws(ManagerError) -> [String: String] {
        guard case .object(let fields) = value else { throw .invalidArgument("\(name) must be an object of strings") }
        var texts: [String: String] = [:]
        for (field, value) in fields {
            guard case .text(let text) = value else { throw .invalidArgument("\(name) must be an object of strings") }
            texts[field] = text
        }
        return texts
    }

    private static func duration(_ value: JSONValue, _ name: String) throws(ManagerError) -> Duration {
        guard case .number(let seconds) = value, seconds.isFinite, abs(seconds) < 1e9 else {
            throw .invalidArgument("\(name) must be a number of seconds")
        }
        return .seconds(seconds)
    }

    private static func unknown(_ name: String) -> ManagerError {
        // A name from outside: kept short and printable.
        let shown = String(name.unicodeScalars.prefix(64).map { $0.isASCII && $0.value > 31 ? Character($0) : "?" })
        return .invalidArgument("unknown field \(shown)")
    }
}

extension JSONReader.Fault {
    fileprivate var words: String {
        switch self {
        case .malformed: "the body is not valid JSON"
        case .notUTF8: "the body is not valid UTF-8"
        case .tooDeep: "the body is nested too deeply"
        case .repeatedName: "the body has a name twice"
        }
    }
}
