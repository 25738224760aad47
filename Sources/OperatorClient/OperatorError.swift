/// Why a word of the operator came to nothing.
public enum OperatorError: Error, Sendable, Hashable {
    /// The command line or the environment is wrong.
    case usage(String)
    /// Nobody answers at the address.
    case unreachable(String)
    /// The daemon said no: the `code` and `detail` of its problem document.
    case refused(code: String, detail: String)
    /// What was waited for did not happen in time.
    case unfinished(String)

    /// What the process should end with: 64 for usage, 69 for an unreachable daemon, 1 for a refusal.
    public var exitCode: Int32 {
        switch self {
        case .usage: 64
        case .unreachable: 69
        case .refused, .unfinished: 1
        }
    }
}

extension OperatorError: CustomStringConvertible {
    /// One line for a terminal; a refusal as `code: detail`.
    public var description: String {
        switch self {
        case .usage(let words), .unreachable(let words), .unfinished(let words): words.printable
        case .refused(let code, let detail): "\(code): \(detail)".printable
        }
    }
}

extension String {
    /// Without anything that would end the line or steer a terminal: some of the words come from far away.
    var printable: String {
        let isHarmless = unicodeScalars.allSatisfy { !$0.isControl }
        guard !isHarmless else { return self }
        return String(String.UnicodeScalarView(unicodeScalars.map { $0.isControl ? "?" : $0 }))
    }
}

extension Unicode.Scalar {
    fileprivate var isControl: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
