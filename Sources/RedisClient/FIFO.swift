/// A queue whose ends cost constant time on average.
struct FIFO<Element> {
    private var items: [Element?] = []
    private var head = 0

    var isEmpty: Bool { head == items.count }

    var first: Element? { isEmpty ? nil : items[head] }

    mutating func append(_ element: Element) {
        items.append(element)
    }

    mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        let element = items[head]
        items[head] = nil
        head += 1
        if isEmpty {
            items.removeAll(keepingCapacity: items.count <= 4096)
            head = 0
        } else if head > 1024, head * 2 > items.count {
            items.removeFirst(head)
            head = 0
        }
        return element
    }

    mutating func removeAll() -> [Element] {
        let all = items[head...].compactMap { $0 }
        items = []
        head = 0
        return all
    }

    mutating func removeAll(where shouldRemove: (Element) -> Bool) {
        items = items[head...].filter { $0.map { !shouldRemove($0) } ?? false }
        head = 0
    }

    func forEach(_ body: (Element) -> Void) {
        for item in items[head...] {
            if let item { body(item) }
        }
    }
}
