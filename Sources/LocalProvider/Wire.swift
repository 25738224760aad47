internal import CLocalSandbox

/// Messages to the supervisor inside a sandbox, as `sandbox_protocol.h` lays them out.
enum Wire {
    static let maximumBytes = SANDBOX_MAX_MESSAGE
    static let maximumStrings = SANDBOX_MAX_STRINGS

    /// What the supervisor answers.
    enum Reply: Equatable {
        case ready(UInt32)
        case pong(UInt32)
        case exited(UInt32, status: Int32)
    }

    static func run(_ number: UInt32, command: [String]) -> [UInt8] {
        bytes(of: header(SANDBOX_RUN, number)) + strings(command)
    }

    static func kill(_ number: UInt32) -> [UInt8] { bytes(of: header(SANDBOX_KILL, number)) }

    static func ping(_ number: UInt32) -> [UInt8] { bytes(of: header(SANDBOX_PING, number)) }

    static func life(_ life: Duration) -> [UInt8] {
        bytes(of: sandbox_life(header: header(SANDBOX_LIFE, 0), milliseconds: milliseconds(life)))
    }

    static func setup(
        life: Duration,
        limits configuration: LocalProviderConfiguration,
        environment: [String]
    ) -> [UInt8] {
        let setup = sandbox_setup(
            header: header(SANDBOX_SETUP, 0),
            life_milliseconds: milliseconds(life),
            max_processes: configuration.maxProcesses,
            max_address_space: configuration.maxAddressSpaceBytes,
            max_file_size: configuration.maxFileSizeBytes,
            max_open_files: configuration.maxOpenFiles
        )
        return bytes(of: setup) + strings(environment)
    }

    /// Reads a reply; `nil` for anything that is none.
    static func reply(_ message: UnsafeRawBufferPointer) -> Reply? {
        guard message.count >= MemoryLayout<sandbox_header>.size else { return nil }
        let header = message.loadUnaligned(as: sandbox_header.self)
        switch Int(header.kind) {
        case SANDBOX_READY:
            return .ready(header.number)
        case SANDBOX_PONG:
            return .pong(header.number)
        case SANDBOX_EXITED:
            guard message.count >= MemoryLayout<sandbox_exit>.size else { return nil }
            return .exited(header.number, status: message.loadUnaligned(as: sandbox_exit.self).status)
        default:
            return nil
        }
    }

    private static func header(_ kind: Int, _ number: UInt32) -> sandbox_header {
        sandbox_header(kind: UInt8(kind), zero: (0, 0, 0), number: number)
    }

    private static func bytes<Message>(of message: Message) -> [UInt8] {
        withUnsafeBytes(of: message) { Array($0) }
    }

    private static func strings(_ strings: [String]) -> [UInt8] {
        var bytes: [UInt8] = []
        for string in strings {
            bytes += string.utf8
            bytes.append(0)
        }
        return bytes
    }

    /// At least 1, and at most a year: the kernel counts no longer, and nothing here lives so long.
    private static func milliseconds(_ duration: Duration) -> UInt64 {
        let bounded = min(max(duration, .milliseconds(1)), .seconds(365 * 86400))
        let parts = bounded.components
        return UInt64(parts.seconds) * 1000 + UInt64(parts.attoseconds / 1_000_000_000_000_000)
    }
}

/// How a process ended, from the number that `waitpid` gave.
struct ExitStatus: Equatable {
    let status: Int32

    /// The exit code, if it ended by itself.
    var code: Int? { status & 0x7f == 0 ? Int((status >> 8) & 0xff) : nil }
    /// The signal that ended it otherwise.
    var signal: Int? { status & 0x7f == 0 ? nil : Int(status & 0x7f) }
}
