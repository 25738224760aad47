/// When leases fall due, the earliest first.
///
/// An alarm cannot be called off; one whose lease has ended is void. Each change looks at a few alarms in turn and drops
/// the void ones, so that they never outnumber the others by much, and nothing ever has to be made anew at once.
struct AlarmQueue {
    struct Alarm {
        var at: MonotonicInstant
        var key: LeaseKey
        var epoch: Epoch
    }

    /// A binary heap.
    private var heap = ChunkedArray<Alarm>()
    /// Which one is looked at next.
    private var hand = 0

    var count: Int { heap.count }
    var first: Alarm? { heap.count > 0 ? heap[0] : nil }

    mutating func insert(_ alarm: Alarm) {
        heap.append(alarm)
        siftUp(heap.count - 1)
    }

    mutating func removeFirst() { remove(at: 0) }

    /// Looks at the next few alarms in turn. With two looks for each one that is added, half of all are void at most.
    mutating func sweep(looks: Int, isVoid: (Alarm) -> Bool) {
        for _ in 0..<looks where heap.count > 0 {
            if hand >= heap.count { hand = 0 }
            if isVoid(heap[hand]) { remove(at: hand) } else { hand += 1 }
        }
    }

    private mutating func remove(at index: Int) {
        heap.swapRemove(at: index)
        guard index < heap.count else { return }
        siftUp(index)
        siftDown(index)
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard heap[index].at < heap[parent].at else { return }
            exchange(index, parent)
            index = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            let left = 2 * index + 1
            guard left < heap.count else { return }
            let hasRight = left + 1 < heap.count
            let least = hasRight && heap[left + 1].at < heap[left].at ? left + 1 : left
            guard heap[least].at < heap[index].at else { return }
            exchange(index, least)
            index = least
        }
    }

    private mutating func exchange(_ left: Int, _ right: Int) {
        let kept = heap[left]
        heap[left] = heap[right]
        heap[right] = kept
    }
}
