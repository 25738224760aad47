/// The frames of a Connect stream: one byte of flags, four of length (big-endian), and so many of payload.
///
/// Source: the Connect protocol, "Streaming RPCs".
enum ConnectFrames {
    /// One message of a stream.
    struct Frame: Equatable {
        var isLast: Bool
        var payload: ArraySlice<UInt8>
    }

    private static let compressed: UInt8 = 1
    private static let endOfStream: UInt8 = 2
    private static let headerLength = 5

    static func frame(_ payload: [UInt8]) -> [UInt8] {
        let length = UInt32(payload.count)
        return [0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + payload
    }

    /// All frames; `nil` if the bytes end within one, or if one is compressed, which was not asked for.
    static func parse(_ bytes: [UInt8]) -> [Frame]? {
        var frames: [Frame] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            guard rest.count >= headerLength, let flags = rest.first, flags & compressed == 0 else { return nil }
            let length = rest.dropFirst().prefix(4).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(headerLength)
            guard rest.count >= length else { return nil }
            frames.append(Frame(isLast: flags & endOfStream != 0, payload: rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return frames
    }
}
