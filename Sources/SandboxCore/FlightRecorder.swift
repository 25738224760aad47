/// The last events of the keys that had any, for whoever asks why a key is in its state.
///
/// Two generations of half the bound each: when the young one is full the old one is dropped, so that the cost of an
/// event does not depend on how many keys there are.
struct FlightRecorder {
    /// One thing that happened to a key.
    struct Event {
        var at: WallTime
        var text: String
    }

    static let keyLimit = 1024
    static let eventLimit = 16

    private var young: [LeaseKey: [Event]] = [:]
    private var old: [LeaseKey: [Event]] = [:]

    var count: Int { young.count + old.count }

    /// - Returns: How many keys were forgotten to make room.
    mutating func record(_ key: LeaseKey, _ text: String, at wallTime: WallTime) -> Int {
        var forgotten = 0
        // Before the generations change: a key that is active keeps what is known of it.
        var events = young[key] ?? old.removeValue(forKey: key) ?? []
        if young[key] == nil, young.count >= Self.keyLimit / 2 {
            forgotten = old.count
            old = young
            young = [:]
        }
        if events.count == Self.eventLimit { events.removeFirst() }
        events.append(Event(at: wallTime, text: text))
        young[key] = events
        return forgotten
    }

    func events(of key: LeaseKey) -> [Event] { young[key] ?? old[key] ?? [] }
}
