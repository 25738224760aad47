import SystemRuntime
import Testing

@Suite struct HeapTrimTests {
    @Test func `memory goes back once a quarter of the most in use is free, and not again before there is more`() {
        var trim = HeapTrim()
        // At first nothing was freed, then not enough of it is free.
        let due = [400, 301, 300, 300, 226, 200].map { trim.isDue(inUse: $0 << 20) }
        #expect(due == [false, false, true, false, false, true])
    }

    @Test func `a few mebibytes that come and go stay`() {
        var trim = HeapTrim()
        let due = [20, 5, 20, 5, 20, 5].map { trim.isDue(inUse: $0 << 20) }
        #expect(!due.contains(true))
    }
}
