import SystemRuntime
import Testing

@Suite struct HeapTrimTests {
    @Test func `memory goes back once a quarter of the most in use is free, and not again before there is more`() {
        var trim = HeapTrim()
        #expect(!trim.isDue(inUse: 400 << 20), "nothing was freed")
        #expect(!trim.isDue(inUse: 301 << 20), "not enough of it is free")
        #expect(trim.isDue(inUse: 300 << 20))
        #expect(!trim.isDue(inUse: 300 << 20))
        #expect(!trim.isDue(inUse: 226 << 20))
        #expect(trim.isDue(inUse: 200 << 20))
    }

    @Test func `a few mebibytes that come and go stay`() {
        var trim = HeapTrim()
        for _ in 0..<3 {
            #expect(!trim.isDue(inUse: 20 << 20))
            #expect(!trim.isDue(inUse: 5 << 20))
        }
    }
}
