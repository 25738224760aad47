/// Reads requests to the letter of RFC 9112 and no further: the oracle for the server.
///
/// Slow and simple. It stops at the first byte that is not as it has to be.
enum StrictRequests {
    static func read(_ bytes: [UInt8]) -> [SeenRequest] {
        var found: [SeenRequest] = []
        var rest = bytes[...]
        while let (request, isLast) = next(&rest) {
            found.append(request)
            if isLast { break }
        }
        return found
    }

    private static func next(_ rest: inout ArraySlice<UInt8>) -> (SeenRequest, isLast: Bool)? {
        // RFC 9112, 2.2: a server should ignore at least one empty line before a request.
        while rest.starts(with: [13, 10]) { rest = rest.dropFirst(2) }
        guard let head = line(&rest) else { return nil }
        let parts = head.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3, isToken(parts[0]), isTarget(parts[1]), let minor = minorVersion(parts[2]) else {
            return nil
        }
        var headers: [(name: String, value: String)] = []
        while let text = line(&rest) {
            if text.isEmpty { return body(&rest, String(parts[0]), String(parts[1]), headers, minor) }
            guard let colon = text.firstIndex(of: ":"), isToken(text[..<colon]) else { return nil }
            let value = text[text.index(after: colon)...]
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 9 }) else { return nil }
            headers.append((text[..<colon].lowercased(), trimmed(value)))
        }
        return nil
    }

    private static func body(
        _ rest: inout ArraySlice<UInt8>,
        _ method: String,
        _ target: String,
        _ headers: [(name: String, value: String)],
        _ minor: Int
    ) -> (SeenRequest, isLast: Bool)? {
        func values(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }
        let (lengths, codings) = (values("content-length"), values("transfer-encoding"))
        guard values("host").count == 1 || (minor == 0 && values("host").isEmpty) else { return nil }
        guard lengths.isEmpty || codings.isEmpty, Set(lengths).count <= 1 else { return nil }
        var content: [UInt8] = []
        if !codings.isEmpty {
            guard minor == 1, codings.count == 1, codings[0].lowercased() == "chunked", let read = chunks(&rest) else {
                return nil
            }
            content = read
        } else if let text = lengths.first {
            guard let length = decimal(text), length <= rest.count else { return nil }
            content = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        if let expectation = values("expect").first, expectation.lowercased() != "100-continue" { return nil }
        let plainNames: Set = ["host", "accept", "x-a", "content-type", "content-length"]
        let request = SeenRequest(
            method: method,
            target: target,
            headers: headers.map { "\($0.name): \($0.value)" }.sorted(),
            body: content,
            isPlain: minor == 1 && ["GET", "PUT", "POST", "DELETE"].contains(method) && headers.count < 10
                && headers.allSatisfy {
                    plainNames.contains($0.name) && !$0.value.isEmpty && $0.value.allSatisfy(\.isASCII)
                }
                && lengths.count <= 1 && lengths.allSatisfy { $0.utf8.count < 6 } && target.hasPrefix("/")
        )
        let wishes = values("connection").joined(separator: ",").lowercased()
        return (request, wishes.contains("close") || (minor == 0 && !wishes.contains("keep-alive")))
    }

    /// RFC 9112, 7.1, without extensions and trailers other than well-formed ones.
    private static func chunks(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        var content: [UInt8] = []
        while let head = line(&rest) {
            let digits = head.prefix { $0 != ";" }
            guard (1...8).contains(digits.utf8.count), digits.utf8.allSatisfy(isHex), let size = Int(digits, radix: 16)
            else { return nil }
            if size == 0 {
                // What is behind the last chunk are fields, which nobody is shown.
                while let trailer = line(&rest) { if trailer.isEmpty { return content } }
                return nil
            }
            guard rest.count >= size + 2, rest.dropFirst(size).starts(with: [13, 10]) else { return nil }
            content += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
        return nil
    }

    /// The next line without its end, which must be CR LF; nil if there is none.
    private static func line(_ rest: inout ArraySlice<UInt8>) -> Substring? {
        guard let end = rest.firstIndex(of: 10), end > rest.startIndex, rest[end - 1] == 13 else { return nil }
        let bytes = rest[..<(end - 1)]
        guard !bytes.contains(13), !bytes.contains(0) else { return nil }
        rest = rest[(end + 1)...]
        // Values may hold any byte beyond ASCII; both sides decode them in the same way.
        return String(decoding: bytes, as: UTF8.self)[...]
    }

    private static func minorVersion(_ text: Substring) -> Int? {
        switch text {
        case "HTTP/1.1": 1
        case "HTTP/1.0": 0
        default: nil
        }
    }

    private static func isToken(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    private static func isTarget(_ text: Substring) -> Bool {
        (text.hasPrefix("/") || text.hasPrefix("*")) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    private static func decimal(_ text: String) -> Int? {
        !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(text) : nil
    }

    private static func trimmed(_ text: Substring) -> String {
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.first, byte == 32 || byte == 9 { bytes.removeFirst() }
        while let byte = bytes.last, byte == 32 || byte == 9 { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}
