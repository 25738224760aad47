import DaemonConfiguration
import Testing

@Suite struct ConfigurationCatalogueTests {
    @Test func `the names follow the rule`() throws {
        let key = try #require(ConfigurationCatalogue.key(named: "rate.createsPerUserPerMinute"))
        #expect(key.environmentName == "SANDBOX_MANAGER_RATE_CREATES_PER_USER_PER_MINUTE")
        #expect(key.flagName == "--rate-creates-per-user-per-minute")
        #expect(ConfigurationCatalogue.key(named: "e2b.apiURL")?.flagName == "--e2b-api-url")
    }

    @Test func `five variables go without the prefix`() {
        let names = ConfigurationCatalogue.keys.map(\.environmentName).filter { !$0.hasPrefix("SANDBOX_MANAGER_") }
        #expect(Set(names) == ["E2B_API_KEY", "E2B_DOMAIN", "E2B_API_URL", "E2B_SANDBOX_URL", "REDIS_URL"])
    }

    @Test func `no two keys share a name`() {
        let keys = ConfigurationCatalogue.keys
        #expect(keys.count == 52)
        #expect(Set(keys.map(\.name)).count == keys.count)
        #expect(Set(keys.map(\.environmentName)).count == keys.count)
        #expect(Set(keys.map(\.flagName)).count == keys.count)
    }

    @Test func `the secrets are marked`() {
        let secrets = ConfigurationCatalogue.keys.filter(\.isSecret).map(\.name)
        #expect(secrets == ["api.token", "api.tokenSecondary", "redis.url", "e2b.apiKey"])
    }

    @Test func `the help lists every flag with its default in narrow lines`() {
        let lines = ConfigurationCatalogue.helpText(columns: 78).split(separator: "\n")
        for key in ConfigurationCatalogue.keys {
            #expect(lines.contains { $0.hasPrefix("  \(key.flagName)") })
            let words = ConfigurationCatalogue.helpText(columns: 10000)
            #expect(words.contains("default: \(key.defaultDescription))"))
        }
        #expect(lines.allSatisfy { $0.count <= 78 })
    }

    @Test func `the documentation's table is well-formed`() {
        let lines = ConfigurationCatalogue.markdownTable().split(separator: "\n")
        #expect(lines.count == ConfigurationCatalogue.keys.count + 2)
        for line in lines {
            #expect(line.hasPrefix("| ") && line.hasSuffix(" |"))
            let bars = line.indices.filter { line[$0] == "|" && line[..<$0].last != "\\" }
            #expect(bars.count == 7)
            #expect(line.count { $0 == "`" }.isMultiple(of: 2))
        }
        #expect(lines[1] == "| --- | --- | --- | --- | --- | --- |")
        #expect(
            lines.contains {
                $0.hasPrefix(
                    "| `limits.perUser` | `SANDBOX_MANAGER_LIMITS_PER_USER` | `--limits-per-user` | `2` | 1 to"
                )
            }
        )
    }

    @Test func `the effective configuration has one line for each key`() throws {
        let text = render(effective: try load(["--limits-total", "7"]).get().effective)
        let lines = text.split(separator: "\n")
        #expect(lines.count == ConfigurationCatalogue.keys.count)
        #expect(zip(lines, ConfigurationCatalogue.keys).allSatisfy { $0.hasPrefix("\($1.name) = ") })
        #expect(lines.contains("limits.total = 7  (flag --limits-total)"))
        #expect(lines.contains("limits.perUser = 2  (default)"))
        #expect(lines.contains("provider = local  (default)"))
    }
}
