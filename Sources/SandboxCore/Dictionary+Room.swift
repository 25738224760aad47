extension Dictionary {
    /// After a removal: a dictionary that has become nearly empty gives its room back, which it would keep for ever.
    package mutating func giveRoomBack() {
        guard capacity > 1024, count < capacity / 8 else { return }
        // A dictionary that is made of so many has room for so many.
        self = filter { _ in true }
    }
}
