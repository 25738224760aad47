internal import SandboxCore

extension DaemonSettings {
    /// Reports combinations that cannot be, and notes those that are hardly meant.
    func check(with reader: inout SettingReader, table: SettingTable) {
        checkAccess(with: &reader, table: table)
        checkLimits(with: &reader, table: table)
        noteOddities(with: &reader, table: table)
    }

    private func checkAccess(with reader: inout SettingReader, table: SettingTable) {
        reader.refuse(
            [table.apiListen.key, table.apiToken.key, table.apiTokenSecondary.key],
            if: !api.listener.isLoopback && api.tokens.isEmpty,
            "\(api.listener) can be reached from other machines, and no token is set: anybody could take and end "
                + "sandboxes; set api.token, or listen on 127.0.0.1"
        )
        reader.refuse(
            [table.metricsListen.key, table.apiListen.key],
            if: metrics == api.listener && metrics.port != 0,
            "is the address of api.listen; they need one each"
        )
        reader.refuse(
            [table.provider.key, table.e2bAPIKey.key],
            if: provider == .e2b && e2b.apiKey == nil,
            "is e2b, and there is no E2B API key; set E2B_API_KEY, or choose the provider local"
        )
        reader.refuse(
            [table.faults.key, table.allowFaults.key],
            if: !faults.isEmpty && !allowFaults,
            "are switched on without \(table.allowFaults.key.flagName); they break the daemon on purpose, for drills"
        )
    }

    private func checkLimits(with reader: inout SettingReader, table: SettingTable) {
        let maxAge = reader.phrase(for: table.leaseMaxAge.key)
        let maxSession = reader.phrase(for: table.e2bMaxSession.key)
        let total = reader.phrase(for: table.limitsTotal.key)
        reader.refuse(
            [table.leaseIdleTimeout.key, table.leaseMaxAge.key],
            if: manager.idleTimeout > manager.maxAge,
            "is longer than \(maxAge); a lease would end before it can be idle"
        )
        reader.refuse(
            [table.leaseIdleTimeout.key, table.e2bMaxSession.key, table.provider.key],
            if: provider == .e2b && manager.idleTimeout > e2b.maxSession,
            "is longer than \(maxSession); E2B would end the sandbox first"
        )
        reader.refuse(
            [table.poolTarget.key, table.limitsTotal.key],
            if: manager.warmPool.target > manager.limits.total,
            "is more than \(total); the pool counts against it"
        )
    }

    private func noteOddities(with reader: inout SettingReader, table: SettingTable) {
        for key in [table.apiToken.key, table.apiTokenSecondary.key, table.e2bAPIKey.key, table.redisURL.key] {
            let isFlag = if case .flag = reader.effective.source(of: key.name) { true } else { false }
            reader.warn([key], if: isFlag, "\(key.name) is given as a flag: every user of this machine can read it")
        }
        reader.warn(
            [table.limitsPerUser.key, table.limitsTotal.key],
            if: manager.limits.perUser > manager.limits.total,
            "limits.perUser is more than limits.total and can never be reached"
        )
        reader.warn(
            [table.createTimeout.key, table.requestDeadline.key],
            if: manager.createTimeout > requestDeadline,
            "create.timeoutSeconds is longer than request.deadlineSeconds: callers give up before a slow create ends"
        )
        reader.warn(
            [table.reconcilerGrace.key, table.createTimeout.key],
            if: manager.reconciler.grace < manager.createTimeout,
            "reconciler.graceSeconds is shorter than create.timeoutSeconds: a slow create may look like an orphan"
        )
        reader.warn(
            [table.leaseMaxAge.key, table.e2bMaxSession.key, table.provider.key],
            if: provider == .e2b && manager.maxAge > e2b.maxSession,
            "lease.maxAgeSeconds is longer than e2b.maxSessionSeconds: leases end with the sandbox's session"
        )
        reader.warn(
            [table.redisExpectedReplicas.key, table.redisURL.key],
            if: redis.expectedReplicas > 1 && redis.url == nil,
            "redis.expectedReplicas is more than 1 without redis.url: replicas without Redis know nothing of each other"
        )
        reader.warn(
            [table.e2bAPIURL.key, table.provider.key],
            if: provider == .e2b && Self.sendsKeyInTheClear(to: e2b.apiURL),
            "e2b.apiURL is plain http to another machine: the API key travels unencrypted"
        )
    }

    private static func sendsKeyInTheClear(to url: String) -> Bool {
        guard url.lowercased().hasPrefix("http://") else { return false }
        let authority = url.dropFirst("http://".utf8.count).prefix { $0 != "/" }
        return !["127.", "localhost", "[::1]"].contains { authority.hasPrefix($0) }
    }
}
