import CCurl
import HTTPTypes

/// One request on an easy handle, and what has arrived of its response. Confined to the loop thread.
final class Transfer {
    /// Why a callback told libcurl to give up.
    enum Stop {
        case bodyTooLarge
        case headersTooLarge
        case wouldSendTwice
    }

    /// The largest header section in bytes; more than any server in its right mind sends.
    private static let maxHeaderBytes = 256 << 10

    let id: UInt64
    let handle: EasyHandle
    let bodyLimit: Int
    private let isIdempotent: Bool

    private(set) var phase = TransferPhase.connecting
    private(set) var stop: Stop?
    private(set) var headers: HTTPFields = [:]
    private(set) var body: [UInt8] = []
    private var headerBytes = 0
    private var isInterim = false
    private var headersEnded = false

    init(id: UInt64, handle: EasyHandle, bodyLimit: Int, isIdempotent: Bool) {
        self.id = id
        self.handle = handle
        self.bodyLimit = bodyLimit
        self.isIdempotent = isIdempotent
    }

    /// A connection stands and the request is about to be sent on it; false refuses to.
    ///
    /// libcurl calls this again when it repeats a request because a connection that was used before ended without a
    /// reply. The server may have acted on the first one, so only idempotent requests are repeated.
    fileprivate func requestWillBeSent() -> Bool {
        guard phase == .connecting || isIdempotent else {
            stop = .wouldSendTwice
            return false
        }
        if phase == .connecting { phase = .waiting }
        return true
    }

    /// One header line with its line end: a status line, a field, or the empty line that ends a section.
    fileprivate func headerArrived(_ line: UnsafeRawBufferPointer) -> Bool {
        phase = .reading
        headerBytes += line.count
        guard headerBytes <= Self.maxHeaderBytes else {
            stop = .headersTooLarge
            return false
        }
        let text = line.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
        if headersEnded && !isInterim { return true }  // trailers
        if headersEnded || text.starts(with: Array("HTTP/".utf8)) {
            headersEnded = false
            headers = [:]
            // "HTTP/1.1 100 …", "HTTP/2 103 …": interim when the first digit of the status is 1.
            isInterim = text.drop { $0 != UInt8(ascii: " ") }.dropFirst().first == UInt8(ascii: "1")
        } else if text.isEmpty {
            headersEnded = true
        } else {
            append(field: text)
        }
        return true
    }

    private func append(field: Slice<UnsafeRawBufferPointer>) {
        guard let colon = field.firstIndex(of: UInt8(ascii: ":")),
            let name = HTTPField.Name(String(decoding: field[..<colon], as: UTF8.self))
        else { return }
        let isBlank: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        var value = field[field.index(after: colon)...].drop(while: isBlank)
        while let last = value.last, isBlank(last) { value = value.dropLast() }
        headers.append(HTTPField(name: name, lenientValue: value))
    }

    fileprivate func bodyArrived(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard body.count + bytes.count <= bodyLimit else {
            stop = .bodyTooLarge
            return false
        }
        body.append(contentsOf: bytes)
        return true
    }
}

// libcurl's callbacks, all on the loop thread from within `perform`. The context is a borrowed transfer. Bytes are
// copied before returning: the buffers are libcurl's own. Returning another count than was given ends the transfer.

private func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer? {
    context.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
}

func onBody(
    bytes: UnsafeMutablePointer<CChar>?,
    size: Int,
    count: Int,
    context: UnsafeMutableRawPointer?
) -> Int {
    let buffer = UnsafeRawBufferPointer(start: bytes, count: size * count)
    return transfer(context)?.bodyArrived(buffer) == true ? buffer.count : 0
}

func onHeader(
    bytes: UnsafeMutablePointer<CChar>?,
    size: Int,
    count: Int,
    context: UnsafeMutableRawPointer?
) -> Int {
    let buffer = UnsafeRawBufferPointer(start: bytes, count: size * count)
    return transfer(context)?.headerArrived(buffer) == true ? buffer.count : 0
}

func onRequest(
    context: UnsafeMutableRawPointer?,
    remoteAddress: UnsafeMutablePointer<CChar>?,
    localAddress: UnsafeMutablePointer<CChar>?,
    remotePort: Int32,
    localPort: Int32
) -> Int32 {
    transfer(context)?.requestWillBeSent() == true ? Int32(CURL_PREREQFUNC_OK) : Int32(CURL_PREREQFUNC_ABORT)
}
