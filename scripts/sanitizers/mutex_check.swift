// What ThreadSanitizer says of a counter behind a Mutex, and of one that is not (`racy`): the first is correct, the
// second is not, and scripts/sanitize.sh wants to hear just that.
import Dispatch
import Synchronization

final class Counter: @unchecked Sendable {
    let guarded = Mutex([0])
    var bare = [0]
}

let counter = Counter()
let isRacy = CommandLine.arguments.contains("racy")
DispatchQueue.concurrentPerform(iterations: 4) { _ in
    for _ in 0..<20_000 {
        if isRacy { counter.bare[0] &+= 1 } else { counter.guarded.withLock { $0[0] += 1 } }
    }
}
print(isRacy ? counter.bare[0] : counter.guarded.withLock { $0[0] })
