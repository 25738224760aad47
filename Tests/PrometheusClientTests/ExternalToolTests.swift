import Foundation
import PrometheusClient
import TestSupport
import Testing

/// Other people's programs that read a page, where they are installed.
enum Tool {
    static let promtool = find(ProcessInfo.processInfo.environment["PROMTOOL"] ?? "promtool")
    /// A Python that has the `prometheus_client` package.
    static let python: String? = {
        guard let path = find(ProcessInfo.processInfo.environment["SANDBOX_MANAGER_TEST_PYTHON"] ?? "python3"),
            let probe = try? run(path, ["-c", "import prometheus_client"], input: []), probe.status == 0
        else { return nil }
        return path
    }()

    private static func find(_ name: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let candidates = name.contains("/") ? [name] : path.split(separator: ":").map { "\($0)/\(name)" }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Runs a program to its end. Its input and output go through files, so neither can fill a pipe and block.
    static func run(_ path: String, _ arguments: [String], input: [UInt8]) throws -> (status: Int32, output: String) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("prom-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let inputFile = folder.appendingPathComponent("input")
        let outputFile = folder.appendingPathComponent("output")
        try Data(input).write(to: inputFile)
        try Data().write(to: outputFile)
        let output = try FileHandle(forWritingTo: outputFile)

        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.standardInput = try FileHandle(forReadingFrom: inputFile)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        try output.close()
        return (process.terminationStatus, String(decoding: try Data(contentsOf: outputFile), as: UTF8.self))
    }
}

@Suite struct ExternalToolTests {
    private func registry() throws -> MetricRegistry {
        let registry = MetricRegistry()
        let evil = try registry.counter("evil_total", help: #"Evil "labels" \ and"# + "\nhelp.", by: EvilLabel.self)
        for (position, label) in EvilLabel.allCases.enumerated() { evil.increment(label, by: position) }
        let latency = try registry.histogram(
            "latency_seconds",
            help: "Latency.",
            by: Operation.self,
            buckets: [0.0001, 0.25, 1, 14400]
        )
        for value in [0, 0.0001, 0.2, 1, 5, 1e6] { latency.observe(.acquire, value) }
        try registry.doubleCounter("busy_seconds_total", help: "Busy.").increment(by: 1e-9)
        let values = try registry.gauge("value", help: "Values.", by: Operation.self)
        values.set(.acquire, to: -.infinity)
        values.set(.release, to: .nan)
        values.set(.other, to: 1e300)
        _ = try registry.gauge("user_locks", help: "Locks.", by: Outcome.self)
        _ = try registry.counter("user_locks_created_total", help: "Locks made.")
        try registry.gaugeTable(
            "build_info",
            help: "Build.",
            labelNames: ["version", "revision"],
            rows: [["1", "unknown"]]
        ).set(row: 0, to: 1)
        return registry
    }

    @Test(.enabled(if: Tool.promtool != nil, "promtool is not installed"), .timeLimit(.minutes(1)))
    func `promtool finds nothing wrong with the text format`() throws {
        let result = try Tool.run(
            try #require(Tool.promtool),
            ["check", "metrics"],
            input: try registry().render(.text)
        )
        #expect(result.status == 0)
        #expect(result.output == "")
    }

    @Test(.enabled(if: Tool.promtool != nil, "promtool is not installed"), .timeLimit(.minutes(1)))
    func `promtool does find a malformed page`() throws {
        let page = Array("# HELP x X.\n# TYPE x gauge\nx{a=\"\\z\"} 1\n".utf8)
        #expect(try Tool.run(try #require(Tool.promtool), ["check", "metrics"], input: page).status != 0)
    }

    /// Prints the samples, then the help texts, with all text in hexadecimal.
    private static let readOpenMetrics = """
        import json, sys
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
        page = sys.stdin.buffer.read().decode("utf-8")
        families = list(text_string_to_metric_families(page))
        for family in families:
            for sample in family.samples:
                labels = "".join(f"{k}={v.encode().hex()};" for k, v in sorted(sample.labels.items()))
                print(sample.name, labels, repr(float(sample.value)), family.type)
        for family in families:
            print("HELP", family.name, family.documentation.encode().hex())
        """

    @Test(
        .enabled(if: Tool.python != nil, "no Python with prometheus_client is installed"),
        .timeLimit(.minutes(1))
    )
    func `the OpenMetrics parser of Python reads the same samples as we`() throws {
        try expectPythonReads(try registry().render(.openMetrics))
    }

    @Test(
        .enabled(if: Tool.python != nil, "no Python with prometheus_client is installed"),
        .timeLimit(.minutes(1)),
        arguments: 0..<4 as Range<UInt64>
    )
    func `the OpenMetrics parser of Python reads any text as it was written`(seed: UInt64) throws {
        try expectPythonReads(try FuzzedPage(seed: seed, families: 60).registry.render(.openMetrics))
    }

    @Test(
        .enabled(if: Tool.promtool != nil, "promtool is not installed"),
        .timeLimit(.minutes(1)),
        arguments: 0..<4 as Range<UInt64>
    )
    func `promtool finds nothing wrong with any text`(seed: UInt64) throws {
        let page = try FuzzedPage(seed: seed, families: 60).registry.render(.text)
        let result = try Tool.run(try #require(Tool.promtool), ["check", "metrics"], input: page)
        #expect(result.status == 0 && result.output == "", "seed \(seed): \(result.output)")
    }

    private func expectPythonReads(_ page: [UInt8]) throws {
        let result = try Tool.run(try #require(Tool.python), ["-c", Self.readOpenMetrics], input: page)
        #expect(result.status == 0, "\(result.output)")
        let read = Exposition.parse(String(decoding: page, as: UTF8.self))
        let lines = result.output.split(separator: "\n").map {
            $0.split(separator: " ", omittingEmptySubsequences: false)
        }
        try #require(lines.count == read.samples.count + read.helps.count)
        for (line, sample) in zip(lines, read.samples) {
            let labels = sample.labels.sorted { $0.key < $1.key }.map { "\($0)=\(Self.hexadecimal($1));" }
            #expect(line[0] == sample.name)
            #expect(line[1] == labels.joined())
            let value = try #require(Double(String(line[2])))
            #expect(value == sample.value || value.isNaN && sample.value.isNaN)
        }
        for line in lines.dropFirst(read.samples.count) {
            let help = try #require(read.helps[String(line[1])])
            // That parser drops spaces before the text.
            #expect(line[2] == Self.hexadecimal(String(help.unicodeScalars.drop { $0 == " " })))
        }
    }

    private static func hexadecimal(_ text: String) -> String {
        text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test(
        .enabled(if: Tool.python != nil, "no Python with prometheus_client is installed"),
        .timeLimit(.minutes(1))
    )
    func `the OpenMetrics parser of Python does find a malformed page`() throws {
        let page = Array("# TYPE x gauge\nx 1\n".utf8)
        #expect(
            try Tool.run(try #require(Tool.python), ["-c", Self.readOpenMetrics], input: page).status != 0
        )
    }
}
