/// Keeps libcurl's table of addresses in step with the transfers that need it. Pure.
///
/// An entry that libcurl may drop while a transfer waits would make it look the name up by itself, so entries are set
/// without expiry; and as there may be ever new hosts, an entry that nobody uses any more is removed again. Both are
/// lines of the `CURLOPT_RESOLVE` list of whatever transfer comes next.
struct AddressPins {
    private var users: [String: Int] = [:]
    private var unused: Set<String> = []

    /// The lines to give to a transfer that starts now, and that `unpin` must follow; no addresses, no pin.
    mutating func pin(_ hostAndPort: String, addresses: [String]) -> [String] {
        unused.remove(hostAndPort)
        var lines = unused.map { "-\($0)" }
        unused = []
        guard !addresses.isEmpty else { return lines }
        users[hostAndPort, default: 0] += 1
        let list = addresses.map { $0.contains(":") ? "[\($0)]" : $0 }
        lines.append("\(hostAndPort):\(list.joined(separator: ","))")
        return lines
    }

    /// The transfer has ended.
    mutating func unpin(_ hostAndPort: String) {
        let left = (users[hostAndPort] ?? 0) - 1
        precondition(left >= 0, "more transfers ended than began")
        users[hostAndPort] = left == 0 ? nil : left
        if left == 0 { unused.insert(hostAndPort) }
    }
}
