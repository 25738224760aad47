internal import SandboxCore

extension DaemonSettings {
    /// Reads every setting; where a value is faulty, the reader notes it and the default stands in.
    init(reading reader: inout SettingReader, from table: SettingTable, hostName: String) {
        e2b = E2BSettings(reading: &reader, from: table)
        redis = RedisSettings(reading: &reader, from: table)
        provider = reader.value(table.provider, default: e2b.apiKey == nil ? .local : .e2b)
        environment = reader.value(
            table.environment,
            default: redis.url == nil ? Self.localEnvironment(hostName: hostName) : "default"
        )
        api = APISettings(reading: &reader, from: table)
        metrics = reader.value(table.metricsListen)
        requestDeadline = reader.value(table.requestDeadline)
        shutdown = ShutdownSettings(
            sandboxes: reader.value(table.shutdownSandboxes),
            timeout: reader.value(table.shutdownTimeout)
        )
        log = LogSettings(level: reader.value(table.logLevel), format: reader.value(table.logFormat))
        faults = Set(reader.optional(table.faults) ?? [])
        allowFaults = reader.value(table.allowFaults)
        manager = ManagerConfiguration(reading: &reader, from: table)

        manager.warmPool.target = reader.value(table.poolTarget)
        manager.warmPool.perSecond = reader.value(table.poolPerSecond)
        manager.reconciler.interval = reader.value(table.reconcilerInterval)
        manager.reconciler.grace = reader.value(table.reconcilerGrace)
        manager.reconciler.mode = reader.value(table.reconcilerMode)
        manager.environment = environment
        manager.requestDeadline = requestDeadline
        manager.maxWaiters = api.maxPendingRequests
        manager.shutdownTimeout = shutdown.timeout
        manager.shutdownKillsSandboxes = shutdown.sandboxes == .kill
        manager.faults = faults
    }

    /// A label from the machine's name: without Redis, machines that share an account must not take each other's
    /// sandboxes for their own.
    static func localEnvironment(hostName: String) -> String {
        let safe = hostName.utf8.prefix(58).map { isLabelByte($0) ? Character(UnicodeScalar($0)) : "-" }
        return "local-" + (safe.isEmpty ? "host" : String(safe))
    }
}

extension APISettings {
    init(reading reader: inout SettingReader, from table: SettingTable) {
        listener = reader.value(table.apiListen)
        tokens = reader.optional(table.apiToken) ?? []
        let isAlone = tokens.isEmpty
        let isFull = tokens.count > 1
        if let secondary = reader.optional(table.apiTokenSecondary) {
            let keys = [table.apiTokenSecondary.key, table.apiToken.key]
            reader.refuse(keys, if: isAlone, "is set without api.token; set that one first")
            reader.refuse(keys, if: isFull, "is a third token, as api.token holds two already")
            tokens.append(secondary)
        }
        // The same token twice is one token.
        if tokens.count == 2, tokens[0] == tokens[1] { tokens.removeLast() }
        maxConnections = reader.value(table.apiMaxConnections)
        maxPendingRequests = reader.value(table.apiMaxPendingRequests)
    }
}

extension E2BSettings {
    init(reading reader: inout SettingReader, from table: SettingTable) {
        apiKey = reader.optional(table.e2bAPIKey)
        domain = reader.value(table.e2bDomain)
        apiURL = reader.value(table.e2bAPIURL, default: "https://api.\(domain)")
        sandboxURL = reader.optional(table.e2bSandboxURL)
        apiVersion = reader.value(table.e2bAPIVersion)
        maxSession = reader.value(table.e2bMaxSession)
    }
}

extension RedisSettings {
    init(reading reader: inout SettingReader, from table: SettingTable) {
        let parsed = reader.optional(table.redisURL)
        url = parsed?.url
        redactedURL = parsed?.redacted
        endpoint = parsed?.endpoint
        onOutage = reader.value(table.redisOnOutage)
        expectedReplicas = reader.value(table.redisExpectedReplicas)
        commandTimeout = reader.value(table.redisCommandTimeout)
    }
}

extension ManagerConfiguration {
    /// Reads what no other part of the daemon needs; the rest is copied from there.
    init(reading reader: inout SettingReader, from table: SettingTable) {
        self.init()
        limits = SlotLimits(perUser: reader.value(table.limitsPerUser), total: reader.value(table.limitsTotal))
        template = reader.value(table.leaseTemplate)
        idleTimeout = reader.value(table.leaseIdleTimeout)
        grace = reader.value(table.leaseGrace)
        maxAge = reader.value(table.leaseMaxAge)
        pausedMaxAge = reader.value(table.leasePausedMaxAge)
        createTimeout = reader.value(table.createTimeout)
        createRetries = reader.value(table.createRetries)
        createRetryDelay = reader.value(table.createRetryDelay)
        connectTimeout = reader.value(table.connectTimeout)
        killTimeout = reader.value(table.killTimeout)
        healthTimeout = reader.value(table.healthTimeout)
        freshWindow = reader.value(table.healthFreshWindow)
        breaker.failureRatio = reader.value(table.breakerFailureRatio)
        breaker.slowCall = reader.value(table.breakerSlowCall)
        breaker.minimumCalls = reader.value(table.breakerMinimumCalls)
        breaker.open = reader.value(table.breakerOpen)
        creationRate = CreationRate(
            perMinute: reader.value(table.rateCreates),
            burst: reader.value(table.rateBurst)
        )
        reaperInterval = reader.value(table.reaperInterval)
    }
}
