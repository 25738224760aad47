import PrometheusClient
import StandIns
import TestSupport
import Testing

@Suite struct FuzzTests {
    @Test(arguments: 0..<15 as Range<UInt64>, ExpositionFormat.allCases)
    func `any text in labels and help leaves a right page and reads back the same`(
        seed: UInt64,
        format: ExpositionFormat
    ) throws {
        let fuzzed = try FuzzedPage(seed: seed, families: 12)
        let page = try fuzzed.registry.render(format)
        #expect(ExpositionChecker.problems(in: page, format: format.checked) == [], "seed \(seed)")

        let read = Exposition.parse(String(decoding: page, as: UTF8.self))
        var rows: [String: Set<[[UInt8]]>] = [:]
        for sample in read.samples where !sample.name.hasSuffix("_bucket") && !sample.name.hasSuffix("_sum") {
            let name = sample.name.hasSuffix("_count") ? String(sample.name.dropLast(6)) : sample.name
            let row = FuzzedPage.labelNames.map { Array((sample.labels[$0] ?? "").utf8) }
            #expect(rows[name, default: []].insert(row).inserted)
        }
        #expect(rows == fuzzed.rows, "seed \(seed)")
        for (name, help) in fuzzed.helps {
            let isShortened = format == .openMetrics && name.hasSuffix("_total")
            let printed = try #require(read.helps[isShortened ? String(name.dropLast(6)) : name])
            #expect(printed.utf8.elementsEqual(help.utf8), "seed \(seed), \(name)")
        }
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `one byte of a page changed is found or reads differently`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let page = try FuzzedPage(seed: seed, families: 3).registry.render(.openMetrics)
        let original = Exposition.parse(String(decoding: page, as: UTF8.self))
        for _ in 0..<20 {
            guard let position = page.indices.randomElement(using: &random) else { continue }
            var changed = page
            changed[position] = changed[position] &+ .random(in: 1...255, using: &random)
            if !ExpositionChecker.problems(in: changed, format: .openMetrics).isEmpty { continue }
            let read = Exposition.parse(String(decoding: changed, as: UTF8.self))
            let isSame =
                read.samples.elementsEqual(original.samples) {
                    $0.name == $1.name && $0.value == $1.value && bytes(of: $0.labels) == bytes(of: $1.labels)
                } && bytes(of: read.helps) == bytes(of: original.helps) && read.types == original.types
            #expect(!isSame, "seed \(seed), byte \(position)")
        }
    }

    private func bytes(of texts: [String: String]) -> [String: [UInt8]] {
        texts.mapValues { Array($0.utf8) }
    }
}
