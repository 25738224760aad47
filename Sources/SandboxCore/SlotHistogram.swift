/// How many users hold how many slots: the most that anyone holds, without asking all.
struct SlotHistogram {
    private var users: [Int: Int] = [:]
    /// The most slots that one user holds.
    private(set) var most = 0

    /// A user holds one slot more or less than before.
    mutating func move(from before: Int, to after: Int) {
        change(before, by: -1)
        change(after, by: 1)
        // Whoever held the most holds one less now, or somebody holds one more.
        most = after > most || users[most] == nil ? after : most
    }

    private mutating func change(_ slots: Int, by difference: Int) {
        guard slots > 0 else { return }
        let count = users[slots, default: 0] + difference
        users[slots] = count == 0 ? nil : count
    }
}
