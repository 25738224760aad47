internal import SandboxCore
internal import Synchronization

/// Makes the ids of requests whose callers gave none: eight digits that tell processes apart, then a running number.
///
/// Not random each time, because asking the kernel for random bits costs as much as looking up a lease.
final class RequestIDs: Sendable {
    private let process: String
    private let last = Atomic<UInt64>(0)

    init(random: any RandomSource) {
        let digits = String(random.next() >> 32, radix: 16)
        process = String(repeating: "0", count: 8 - digits.count) + digits
    }

    func next() -> String {
        process + String(last.wrappingAdd(1, ordering: .relaxed).newValue, radix: 16)
    }
}
