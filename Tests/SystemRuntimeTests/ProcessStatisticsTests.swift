import Foundation
import SystemRuntime
import Testing

@Suite(.serialized) struct ProcessStatisticsTests {
    private func status(_ name: String) throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("\(name):") })
        return try #require(Int(line.split(whereSeparator: { " \t".contains($0) })[1]))
    }

    @Test func `memory and threads agree with another file of the kernel`() throws {
        let sample = try ProcessStatistics.read()
        #expect(abs(sample.residentBytes - (try status("VmRSS")) * 1024) < 64 << 20)
        #expect(abs(sample.virtualBytes - (try status("VmSize")) * 1024) < 1 << 30)
        #expect(abs(sample.threads - (try status("Threads"))) < 64)
        #expect(sample.residentBytes < sample.virtualBytes)
    }

    @Test func `open descriptors are counted, the one that counts not`() throws {
        // Other tests may open some meanwhile: so many that they do not matter.
        let before = try ProcessStatistics.read().openFileDescriptors
        let handles = (0..<200).compactMap { _ in FileHandle(forReadingAtPath: "/dev/null") }
        let during = try ProcessStatistics.read().openFileDescriptors
        for handle in handles { try handle.close() }
        let after = try ProcessStatistics.read().openFileDescriptors
        #expect(abs(during - before - 200) < 50)
        #expect(abs(after - before) < 50)
        #expect(before > 2)
        #expect(try ProcessStatistics.read().maximumFileDescriptors > before)
    }

    @Test func `processor time grows with work`() throws {
        let before = try ProcessStatistics.read().cpuSeconds
        let deadline = ContinuousClock.now + .seconds(20)
        var sum = 0.0
        while try ProcessStatistics.read().cpuSeconds < before + 0.05, ContinuousClock.now < deadline {
            for number in 1..<100_000 { sum += 1 / Double(number) }
        }
        #expect(try ProcessStatistics.read().cpuSeconds >= before + 0.05)
        #expect(sum > 0)
    }

    @Test func `the heap holds what is allocated`() throws {
        let before = try ProcessStatistics.read()
        let blocks = (0..<64).map { [UInt8](repeating: UInt8($0), count: 1 << 20) }
        let during = try ProcessStatistics.read()
        #expect(during.heapInUseBytes - before.heapInUseBytes > 48 << 20)
        #expect(during.heapHeldBytes >= during.heapInUseBytes)
        #expect(blocks.count == 64)
    }
}
