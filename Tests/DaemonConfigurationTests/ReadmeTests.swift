import DaemonConfiguration
import Foundation
import Testing

@Suite struct ReadmeTests {
    /// The repository's folder, found from this file.
    private var root: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    @Test func `the README shows the table of settings that the catalogue makes`() throws {
        let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        let begin = try #require(readme.range(of: "`sandbox-manager config table` -->\n"))
        let end = try #require(readme.range(of: "\n<!-- configuration: end -->"))
        let shown = readme[begin.upperBound..<end.lowerBound]
        let made = ConfigurationCatalogue.markdownTable().trimmingCharacters(in: .newlines)
        #expect(shown == made, "replace the table by the output of `sandbox-manager config table`")
    }
}
