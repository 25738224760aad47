import Foundation
import Testing

/// What the fuzzers found, and what they began with, once more: see docs/FUZZING.md.
@Suite struct CorpusTests {
    private static let corpus = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fuzz/Corpus")

    private static func files(of target: String) throws -> [URL] {
        try FileManager.default
            .contentsOfDirectory(at: corpus.appending(path: target), includingPropertiesForKeys: nil)
            .sorted { $0.path < $1.path }
    }

    @Test(.timeLimit(.minutes(1)), arguments: FuzzTarget.all.map(\.name))
    func `what is in the corpus is read as it should be`(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let files = try Self.files(of: name)
        #expect(files.count >= 3)
        for file in files {
            #expect(target.check(Array(try Data(contentsOf: file))) == [], "\(file.lastPathComponent)")
        }
    }

    @Test func `every folder of the corpus belongs to a target`() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path)
        #expect(Set(folders) == Set(FuzzTarget.all.map(\.name)))
    }
}
