internal import Glibc

/// One request on its way through libmicrohttpd, from its request line to the completed callback.
///
/// `@unchecked Sendable`: only the polling thread of its connection touches it, with one exception. `settled` is written
/// by whoever removes the exchange from the pending table, while the connection is suspended and that thread therefore
/// does not touch it; the library's lock in `MHD_resume_connection` orders the write before the thread's read.
final class Exchange: @unchecked Sendable {
    /// Where the exchange stands when the library calls next.
    enum Phase {
        /// The header has not been looked at.
        case header
        /// The header is fine; the body, if any, is arriving.
        case body(ServerRequest)
        /// The answer is known, but what is left of the body has to be read first.
        case discarding(ServerResponse)
        /// Handed to the handler, which answers later; `settled` holds the answer once the connection resumes.
        case pending
        /// The response is queued.
        case answered
    }

    /// The connection, for its deadline.
    let connection: ConnectionRecord
    var phase = Phase.header
    var settled: ServerResponse?
    /// The body so far, at most `maxBodyBytes`.
    var body: [UInt8] = []
    /// Bytes of the body thrown away because the request is refused.
    var discardedBytes = 0
    /// Whether every byte of the request has been read, so that the connection may close without resetting.
    var hasArrived = false
    /// Whether the handler has been given the whole request.
    var hasReachedHandler = false
    /// The status of the queued response.
    var status: Int?

    /// The raw target: copied because the library writes into its own copy while splitting the query.
    let rawPath: String
    let rawQuery: String?
    /// The target's first byte in the library's buffer, and its length: only for comparing positions.
    let targetAddress: UInt
    let targetCount: Int
    let targetIsClean: Bool

    init(connection: ConnectionRecord, target: UnsafePointer<CChar>?) {
        self.connection = connection
        guard let target else {
            (rawPath, rawQuery, targetAddress, targetCount, targetIsClean) = ("", nil, 0, 0, false)
            return
        }
        let bytes = UnsafeBufferPointer(
            start: UnsafeRawPointer(target).assumingMemoryBound(to: UInt8.self),
            count: strlen(target)
        )
        targetAddress = UInt(bitPattern: target)
        targetCount = bytes.count
        var isClean = true
        var question: Int?
        for (index, byte) in bytes.enumerated() {
            // Visible ASCII only: everything else has to be percent-encoded.
            if byte <= 0x20 || byte >= 0x7F { isClean = false }
            if byte == UInt8(ascii: "?"), question == nil { question = index }
        }
        targetIsClean = isClean
        rawPath = String(decoding: bytes[..<(question ?? bytes.count)], as: UTF8.self)
        rawQuery = question.map { String(decoding: bytes[($0 + 1)...], as: UTF8.self) }
    }
}
