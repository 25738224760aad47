internal import Foundation
internal import HTTPTypes

/// A real Prometheus on loopback, with the shipped rules sped up, that scrapes the daemons of drills.
final class PrometheusServer: Sendable {
    /// How often it scrapes and evaluates. A range selector must still span two scrapes.
    static let interval: Duration = .milliseconds(250)
    /// The largest speedup at which the shortest window of the rules, two minutes, spans two scrapes.
    static let speedup = 240.0

    /// A sample of the series `ALERTS`: an alert was in this state.
    struct Seen: Sendable {
        var alert: String
        var state: String
        /// Of the first and last evaluation that said so, in seconds since 1970.
        var first: Double
        var last: Double
    }

    private let process: ChildProcess
    private let url: String
    private let web: WebClient

    /// Starts it and waits until it answers; a second or so. `targets` has the address of each job's metrics;
    /// `allowsShortRanges` gives up on every rule whose range no longer spans two scrapes.
    init(
        program: String,
        rules: String,
        speedup: Double,
        targets: [String: String],
        interval: Duration = PrometheusServer.interval,
        allowsShortRanges: Bool = false,
        folder: String,
        web: WebClient
    ) async throws {
        let scaled = try RuleScaling(speedup: speedup).scaled(rules)
        let twoScrapes = Int((interval * 2) / .milliseconds(1))
        if !allowsShortRanges, let shortest = try RuleScaling.shortestRange(in: scaled), shortest < twoScrapes {
            throw DrillError("at speedup \(speedup) a range is \(shortest) ms and does not span two scrapes")
        }
        try scaled.write(toFile: "\(folder)/rules.yml", atomically: true, encoding: .utf8)
        try Self.configuration(targets, interval).write(
            toFile: "\(folder)/prometheus.yml",
            atomically: true,
            encoding: .utf8
        )
        let process = try ChildProcess(
            program,
            [
                "--config.file=\(folder)/prometheus.yml", "--storage.tsdb.path=\(folder)/data",
                "--web.listen-address=127.0.0.1:0",
                // A series that stops is forgotten after a second, not after five minutes.
                "--query.lookback-delta=1s", "--log.level=info",
            ],
            environment: ["PATH": "/usr/bin:/bin", "HOME": folder, "TMPDIR": folder],
            folder: folder,
            log: "prometheus.log"
        )
        do {
            let url = try await Self.address(of: process)
            try await Pause.until("Prometheus is ready", within: .seconds(30)) {
                let answer = try? await web.send(.get, "\(url)/-/ready")
                return answer?.status == 200 ? () : nil
            }
            self.process = process
            self.url = url
            self.web = web
        } catch {
            await process.end()
            throw error
        }
    }

    func end() async { await process.end() }

    /// Waits until each target was scraped, and until the start of it all, which looks like an outage, is over.
    func waitUntilUp(_ jobs: some Sequence<String>) async throws {
        let wanted = Set(jobs)
        try await Pause.until("Prometheus scrapes \(wanted.sorted())", within: .seconds(40)) {
            let up = Set(try await query("up == 1").compactMap { $0.metric["job"] })
            return wanted.isSubset(of: up) ? () : nil
        }
        // No more than two evaluations later every job's alerts are about what is there.
        try await Pause.until("the start is over", within: .seconds(20)) {
            try await query("ALERTS{alertname=\"SandboxManagerDown\"}").isEmpty ? () : nil
        }
    }

    /// The states that the alerts of a job have had since `start`, in seconds since 1970.
    func seen(job: String, since start: Double) async throws -> [Seen] {
        let now = Date().timeIntervalSince1970
        let window = max(1, Int((now - start) * 1000))
        return try await query("ALERTS{job=\"\(job)\"}[\(window)ms]", at: now).compactMap { series in
            guard let alert = series.metric["alertname"], let state = series.metric["alertstate"],
                let first = series.values?.first?.time, let last = series.values?.last?.time
            else { return nil }
            return Seen(alert: alert, state: state, first: first, last: last)
        }
    }

    /// The highest state of an alert's instances right now; nil for none.
    func state(of alert: String, job: String) async throws -> String? {
        let found = try await get("/api/v1/alerts", as: AlertsReply.self).alerts
            .filter { $0.labels["alertname"] == alert && $0.labels["job"] == job }
        return found.contains { $0.state == "firing" } ? "firing" : found.first?.state
    }

    /// The result of an instant query that has one number; nil if it has none.
    func number(_ expression: String) async throws -> Double? {
        try await query(expression).first?.value.flatMap { Double($0.text) }
    }

    /// Rules whose last evaluation failed, with the reason.
    func ruleErrors() async throws -> [String] {
        try await get("/api/v1/rules", as: RulesReply.self).groups.flatMap(\.rules).compactMap { rule in
            rule.lastError.flatMap { $0.isEmpty ? nil : "\(rule.name): \($0)" }
        }
    }

    // MARK: Inside

    private static func configuration(_ targets: [String: String], _ interval: Duration) -> String {
        let interval = "\(Int(interval / .milliseconds(1)))ms"
        let jobs = targets.sorted { $0.key < $1.key }.map { job, address in
            "{\"job_name\": \"\(job)\", \"static_configs\": [{\"targets\": [\"\(address)\"]}]}"
        }
        // JSON is YAML.
        return """
            {"global": {"scrape_interval": "\(interval)", "scrape_timeout": "\(interval)",
              "evaluation_interval": "\(interval)"},
             "rule_files": ["rules.yml"],
             "scrape_configs": [\(jobs.joined(separator: ",\n"))]}
            """
    }

    private static func address(of process: ChildProcess) async throws -> String {
        try await Pause.until("Prometheus announces its port", within: .seconds(30)) {
            guard process.isRunning else { throw DrillError("Prometheus ended:\n\(process.lastWords)") }
            let log = process.log
            guard let found = log.range(of: "msg=\"Listening on\" address=") else { return nil }
            let address = log[found.upperBound...].prefix { !$0.isWhitespace }
            return "http://\(address)"
        }
    }

    private func query(_ expression: String, at time: Double? = nil) async throws -> [Series] {
        let quoted = expression.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        let moment = time.map { "&time=\(String(format: "%.3f", $0))" } ?? ""
        return try await get("/api/v1/query?query=\(quoted)\(moment)", as: QueryReply.self).result
    }

    private func get<Value: Decodable>(_ path: String, as type: Value.Type) async throws -> Value {
        let answer = try await web.send(.get, url + path)
        guard answer.status == 200 else {
            throw DrillError("Prometheus answered \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
        }
        return try answer.decoded(as: Reply<Value>.self).data
    }
}

// MARK: What Prometheus answers

private struct Reply<Value: Decodable>: Decodable {
    var data: Value
}

private struct QueryReply: Decodable {
    var result: [Series]
}

private struct Series: Decodable {
    var metric: [String: String]
    var value: Sample?
    var values: [Sample]?
}

private struct Sample: Decodable {
    var time: Double
    var text: String

    init(from decoder: any Decoder) throws {
        var pair = try decoder.unkeyedContainer()
        time = try pair.decode(Double.self)
        text = try pair.decode(String.self)
    }
}

private struct AlertsReply: Decodable {
    struct Alert: Decodable {
        var labels: [String: String]
        var state: String
    }

    var alerts: [Alert]
}

private struct RulesReply: Decodable {
    struct Group: Decodable {
        var rules: [Rule]
    }

    struct Rule: Decodable {
        var name: String
        var lastError: String?
    }

    var groups: [Group]
}
