internal import CMicrohttpd
internal import Glibc
internal import HTTPTypes

/// Checks a request's header and makes a `ServerRequest` of it.
///
/// libmicrohttpd is lenient: it accepts bare line feeds, folded headers, NULs, white space before the colon and
/// contradicting lengths, and tells the handler nothing of it. But it parses in place: names and values are pointers
/// into the bytes as they arrived, with each CR, LF and colon overwritten. So it is enough to check that every piece
/// begins exactly where the one before has to end; anything the library skipped or joined shows as a gap.
struct RequestHead {
    let request: ServerRequest
    /// Whether a body follows.
    let announcesBody: Bool
    /// The announced length; nil if there is none.
    let contentLength: UInt64?

    enum Outcome {
        case accepted(RequestHead)
        case refused(ServerRefusal)
    }

    static func parse(
        _ connection: OpaquePointer,
        exchange: Exchange,
        method: UnsafePointer<CChar>,
        version: UnsafePointer<CChar>,
        maxHeaderBytes: Int
    ) -> Outcome {
        let start = UInt(bitPattern: method)
        let size = cmhd_header_size(connection)
        guard size <= maxHeaderBytes else { return .refused(.headerTooLarge) }

        let methodCount = strlen(method)
        let versionAddress = UInt(bitPattern: version)
        let versionCount = strlen(version)
        guard methodCount > 0, exchange.targetIsClean,
            exchange.targetAddress == start + UInt(methodCount) + 1,
            versionAddress == exchange.targetAddress + UInt(exchange.targetCount) + 1,
            let method = makeMethod(method, count: methodCount)
        else { return .refused(.badRequest(.requestLine)) }
        guard exchange.rawPath.utf8.first == UInt8(ascii: "/") || exchange.rawPath == "*" else {
            return .refused(.badRequest(.targetForm))
        }

        // "\r\n" after the version.
        var scan = HeaderScan(next: versionAddress + UInt(versionCount) + 2, capacity: size)
        withUnsafeMutablePointer(to: &scan) { scan in
            // Borrowed: the scan outlives the call, which runs the callback on this thread.
            _ = MHD_get_connection_values_n(connection, .HEADER_KIND, onHeader, scan)
        }
        if let fault = scan.fault { return .refused(.badRequest(fault)) }
        // The blank line ends the header.
        guard scan.next + 2 == start + UInt(size) else { return .refused(.badRequest(.headerSyntax)) }
        let isVersion10 = strcmp(version, "HTTP/1.0") == 0
        guard scan.hosts == 1 || (isVersion10 && scan.hosts == 0) else { return .refused(.badRequest(.host)) }
        guard scan.transferCodings == 0 || scan.contentLengths == 0 else { return .refused(.badRequest(.bodyLength)) }
        guard scan.transferCodings == 0 || (scan.transferCodings == 1 && scan.isChunked && !isVersion10) else {
            return .refused(.badRequest(.transferEncoding))
        }

        return .accepted(
            RequestHead(
                request: ServerRequest(
                    method: method,
                    rawPath: exchange.rawPath,
                    rawQuery: exchange.rawQuery,
                    requestHeaders: scan.headers
                ),
                announcesBody: scan.isChunked || (scan.contentLength ?? 0) > 0,
                contentLength: scan.contentLength
            )
        )
    }

    private static func makeMethod(_ text: UnsafePointer<CChar>, count: Int) -> HTTPRequest.Method? {
        let bytes = UnsafeRawBufferPointer(start: text, count: count)
        if bytes.elementsEqual("GET".utf8) { return .get }
        if bytes.elementsEqual("PUT".utf8) { return .put }
        return HTTPRequest.Method(String(decoding: bytes, as: UTF8.self))
    }
}

/// Called for each header in order of arrival.
private let onHeader: MHD_KeyValueIteratorN = { context, _, name, nameCount, value, valueCount in
    guard let scan = context?.assumingMemoryBound(to: HeaderScan.self), let name else { return .NO }
    scan.pointee.visit(
        name: UnsafeBufferPointer(
            start: UnsafeRawPointer(name).assumingMemoryBound(to: UInt8.self),
            count: nameCount
        ),
        value: UnsafeBufferPointer(
            start: value.map { UnsafeRawPointer($0).assumingMemoryBound(to: UInt8.self) },
            count: value == nil ? 0 : valueCount
        )
    )
    return scan.pointee.fault == nil ? .YES : .NO
}

/// What one pass over the headers collects.
private struct HeaderScan {
    /// Where the next name has to begin.
    var next: UInt
    var headers: RequestHeaders
    var fault: ServerRefusal.BadRequestReason?
    var hosts = 0
    var contentLengths = 0
    var contentLength: UInt64?
    var transferCodings = 0
    var isChunked = false

    init(next: UInt, capacity: Int) {
        self.next = next
        headers = RequestHeaders(capacity: capacity)
    }

    mutating func visit(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
        guard let nameStart = name.baseAddress, let valueStart = value.baseAddress, !name.isEmpty,
            UInt(bitPattern: nameStart) == next, isColonAndSpace(from: nameStart + name.count, to: valueStart)
        else {
            fault = .headerSyntax
            return
        }
        next = UInt(bitPattern: valueStart) + UInt(value.count) + 2

        var end = value.count
        while end > 0, value[end - 1] == 0x20 || value[end - 1] == 0x09 { end -= 1 }
        let value = UnsafeBufferPointer(rebasing: value[..<end])
        let isValid = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: name.count) { lowercase in
            for index in 0..<name.count {
                let byte = tokenBytes[Int(name[index])]
                guard byte != 0 else { return false }
                lowercase[index] = byte
            }
            for byte in value where (byte < 0x20 && byte != 0x09) || byte == 0x7F { return false }
            let name = UnsafeBufferPointer(lowercase)
            headers.append(lowercaseName: name, value: value)
            recognise(name, value)
            return true
        }
        if !isValid { fault = .headerSyntax }
    }

    /// Whether there is nothing but the overwritten colon and white space between name and value.
    private func isColonAndSpace(from nameEnd: UnsafePointer<UInt8>, to value: UnsafePointer<UInt8>) -> Bool {
        // A folded header's name was moved elsewhere: its distance to the value is not read, only compared.
        let gap = Int(bitPattern: UInt(bitPattern: value) &- UInt(bitPattern: nameEnd))
        guard gap >= 1, gap <= Int(UInt16.max) else { return false }
        return (1..<gap).allSatisfy { nameEnd[$0] == 0x20 || nameEnd[$0] == 0x09 }
    }

    /// Picks up the fields that decide about framing.
    private mutating func recognise(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        switch name.count {
        case 4 where name.elementsEqual("host".utf8):
            hosts += 1
        case 6 where name.elementsEqual("expect".utf8):
            if !equalsIgnoringCase(value, "100-continue") { fault = .expectation }
        case 14 where name.elementsEqual("content-length".utf8):
            // The library has checked the digits of the first one.
            let length = UInt64(String(decoding: value, as: UTF8.self))
            if contentLengths > 0, length != contentLength { fault = .bodyLength }
            if length == nil { fault = .bodyLength }
            contentLengths += 1
            contentLength = length
        case 17 where name.elementsEqual("transfer-encoding".utf8):
            transferCodings += 1
            isChunked = equalsIgnoringCase(value, "chunked")
        default:
            break
        }
    }

    private func equalsIgnoringCase(_ bytes: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        return zip(bytes, UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
            .allSatisfy { ($0 | 0x20) == ($1 | 0x20) }
    }
}

/// For each byte that may stand in a field name its lower-case form, for all others 0 (RFC 9110, "token").
private let tokenBytes: [UInt8] = (0...255).map { byte in
    switch UInt8(byte) {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt8(byte) | 0x20
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): UInt8(byte)
    case let other where "!#$%&'*+-.^_`|~".utf8.contains(other): other
    default: 0
    }
}
