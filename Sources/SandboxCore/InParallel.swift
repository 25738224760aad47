/// Works a batch off, a few at a time: one slow item delays no other (T1).
///
/// - Parameters:
///   - items: The batch.
///   - width: How many are worked on at once.
///   - isEnough: Asked of each value; once it says so, no further item is begun.
///   - work: What to do with an item; must bound its own waits.
/// - Returns: The values of what was begun, in the order in which they came.
func inParallel<Item: Sendable, Value: Sendable>(
    _ items: [Item],
    width: Int = 16,
    until isEnough: (Value) -> Bool = { _ in false },
    _ work: @escaping @Sendable (Item) async -> Value
) async -> [Value] {
    await withTaskGroup(of: Value.self) { group in
        var rest = items[...]
        for item in rest.prefix(width) { group.addTask { await work(item) } }
        rest = rest.dropFirst(width)
        var values: [Value] = []
        while let value = await group.next() {
            values.append(value)
            if isEnough(value) { rest = [] }
            if let item = rest.popFirst() { group.addTask { await work(item) } }
        }
        return values
    }
}
