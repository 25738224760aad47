public import HTTPTypes

/// The header fields of a request in one flat buffer: one allocation, and strings only for what is asked for.
///
/// Building `HTTPFields` for every request costs several allocations a field, and most handlers look at two or three.
public struct RequestHeaders: Sendable {
    /// For each field: length of the name, length of the value (two bytes each, low byte first), the name in lower case,
    /// the value without surrounding white space.
    private var storage: [UInt8]

    /// No fields yet, with room for a header of `capacity` bytes.
    init(capacity: Int) {
        storage = []
        storage.reserveCapacity(capacity)
    }

    /// The same fields in the same order; names come out in lower case.
    ///
    /// - Parameter fields: A field longer than 65,535 bytes is left out; none such can come over the wire.
    public init(_ fields: HTTPFields) {
        self.init(capacity: 64 * fields.count)
        for field in fields {
            let name = Array(field.name.canonicalName.utf8)
            name.withUnsafeBufferPointer { name in
                field.withUnsafeBytesOfValue { value in
                    if name.count <= Int(UInt16.max), value.count <= Int(UInt16.max) {
                        append(lowercaseName: name, value: value)
                    }
                }
            }
        }
    }

    /// Adds a field; the caller has checked name and value, and that neither is longer than 65,535 bytes.
    mutating func append(lowercaseName name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
        storage.append(UInt8(truncatingIfNeeded: name.count))
        storage.append(UInt8(truncatingIfNeeded: name.count >> 8))
        storage.append(UInt8(truncatingIfNeeded: value.count))
        storage.append(UInt8(truncatingIfNeeded: value.count >> 8))
        storage.append(contentsOf: name)
        storage.append(contentsOf: value)
    }

    /// The value of the field; of several with the same name, all of them joined as RFC 9110 says. nil if absent.
    public subscript(name: HTTPField.Name) -> String? {
        var joined: String?
        forEachValue(of: name) { value in
            let text = String(decoding: value, as: UTF8.self)
            joined = joined.map { "\($0)\(name == .cookie ? "; " : ", ")\(text)" } ?? text
        }
        return joined
    }

    /// The values of all fields with this name, in order of arrival.
    public subscript(values name: HTTPField.Name) -> [String] {
        var values: [String] = []
        forEachValue(of: name) { values.append(String(decoding: $0, as: UTF8.self)) }
        return values
    }

    /// Whether there is at least one field with this name.
    public func contains(_ name: HTTPField.Name) -> Bool {
        var found = false
        forEachValue(of: name) { _ in found = true }
        return found
    }

    /// All fields as the library's own type, for code that wants it; costs several allocations a field.
    public var fields: HTTPFields {
        var fields = HTTPFields()
        forEach { name, value in
            if let name = HTTPField.Name(String(decoding: name, as: UTF8.self)) {
                fields.append(HTTPField(name: name, value: value))
            }
        }
        return fields
    }

    private func forEachValue(of name: HTTPField.Name, _ body: (Slice<UnsafeBufferPointer<UInt8>>) -> Void) {
        var wanted = name.canonicalName
        wanted.withUTF8 { wanted in
            forEach { candidate, value in
                if candidate.count == wanted.count, candidate.elementsEqual(wanted) { body(value) }
            }
        }
    }

    private func forEach(
        _ body: (_ name: Slice<UnsafeBufferPointer<UInt8>>, _ value: Slice<UnsafeBufferPointer<UInt8>>) -> Void
    ) {
        storage.withUnsafeBufferPointer { bytes in
            var position = 0
            while position + 4 <= bytes.count {
                let name = position + 4
                let value = name + Int(bytes[position]) + Int(bytes[position + 1]) << 8
                let end = value + Int(bytes[position + 2]) + Int(bytes[position + 3]) << 8
                body(bytes[name..<value], bytes[value..<end])
                position = end
            }
        }
    }
}

extension RequestHeaders: ExpressibleByDictionaryLiteral {
    /// Fields written out in a test.
    public init(dictionaryLiteral elements: (HTTPField.Name, String)...) {
        var fields = HTTPFields()
        for (name, value) in elements { fields.append(HTTPField(name: name, value: value)) }
        self.init(fields)
    }
}
