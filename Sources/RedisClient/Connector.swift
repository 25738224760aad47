/// Makes connections that are logged in and ready; blocks the calling thread, which must be one of our own.
struct Connector: Sendable {
    let endpoint: RedisEndpoint
    /// For the whole attempt, name lookups excepted.
    let connectTimeout: Duration
    /// For each reply while logging in, so that a server that hangs does not use up the whole attempt.
    let replyTimeout: Duration
    /// What is said first on a connection for commands.
    let greeting: [RedisCommand]

    /// Makes connections that, if they are for commands, begin with the greeting.
    init(_ configuration: RedisConfiguration, greets: Bool = false) {
        endpoint = configuration.endpoint
        greeting = greets ? configuration.greeting : []
        connectTimeout = configuration.connectTimeout
        replyTimeout = min(configuration.commandTimeout, configuration.connectTimeout)
    }

    /// - Parameter interruption: A descriptor that becomes readable when the connection is no longer wanted.
    /// - Returns: A connection that nobody else has.
    /// - Throws: An error as for a command that was never sent.
    func connect(interruption: Int32? = nil) throws(RedisError) -> Connection {
        let patience = Patience(end: .now + connectTimeout, interruption: interruption)
        do throws(RedisError) {
            let connection = try connection(patience)
            for command in greeting { try check(command, connection, patience) }
            return connection
        } catch {
            throw error.beforeSending
        }
    }

    private func connection(_ patience: Patience) throws(RedisError) -> Connection {
        switch endpoint.target {
        case .server(let address): return try loggedIn(try dial(address, patience), patience)
        case .socket(let path):
            let descriptor = try SocketDialer(patience: patience, limit: connectTimeout).connect(toSocket: path)
            return try loggedIn(try Connection(descriptor: descriptor, address: path), patience)
        case .sentinel(let nodes, let master): return try masterConnection(master, nodes, patience)
        }
    }

    private func dial(_ address: RedisAddress, _ patience: Patience) throws(RedisError) -> Connection {
        let descriptor = try SocketDialer(patience: patience, limit: connectTimeout).connect(to: address)
        return try Connection(descriptor: descriptor, address: address.description)
    }

    private func loggedIn(_ connection: Connection, _ patience: Patience) throws(RedisError) -> Connection {
        if let password = endpoint.password {
            let words = (endpoint.user.map { [$0] } ?? []) + [password.text]
            let command = RedisCommand([Array("AUTH".utf8)] + words.map { Array($0.utf8) })
            if case .error(let message) = try exchange(command, connection, patience) {
                // Only the first word: a server that does not know AUTH repeats its arguments in the error.
                let word = String(message.prefix { $0 != " " }.prefix(20))
                throw RedisError(reply: word) == .loading ? .loading : .auth(message: RedisError.line(word))
            }
        }
        if endpoint.database != 0 {
            try check(RedisCommand("SELECT", String(endpoint.database)), connection, patience)
        }
        // Shows whether login is needed or the data are still being loaded.
        if case .error(let message) = try exchange(.ping, connection, patience), !message.hasPrefix("NOPERM") {
            throw refusal(message, connection)
        }
        return connection
    }

    private func check(
        _ command: RedisCommand,
        _ connection: Connection,
        _ patience: Patience
    ) throws(RedisError) {
        if case .error(let message) = try exchange(command, connection, patience) {
            throw refusal(message, connection)
        }
    }

    private func refusal(_ message: String, _ connection: Connection) -> RedisError {
        let error = RedisError(reply: message)
        guard case .server(let text) = error else { return error }
        return .refused(address: connection.address, reason: "it replied \(text)")
    }

    private func exchange(
        _ command: RedisCommand,
        _ connection: Connection,
        _ patience: Patience
    ) throws(RedisError) -> RedisValue {
        try connection.exchange(command, patience: patience.atMost(replyTimeout), limit: replyTimeout)
    }
}

extension Connector {
    /// What the sentinels say.
    private struct Votes {
        /// The masters they named, those with most votes first.
        var masters: [RedisAddress] = []
        /// Whether more than half of all sentinels named the first one.
        var hasMajority = false
        /// The last failure of asking one.
        var failure: RedisError?
    }

    /// Whether most sentinels name another master than the one at the end of a connection.
    ///
    /// An old master goes on taking writes, which are lost later, until it learns that it was replaced: some ten
    /// seconds after a planned failover, and as long as it is cut off from the sentinels.
    func masterHasMoved(from address: String, interruption: Int32? = nil) -> Bool {
        guard case .sentinel(let nodes, let master) = endpoint.target else { return false }
        let votes = votes(nodes, master, Patience(end: .now + connectTimeout, interruption: interruption))
        return votes.hasMajority && votes.masters.first?.description != address
    }

    private func masterConnection(
        _ master: String,
        _ sentinels: [RedisAddress],
        _ patience: Patience
    ) throws(RedisError) -> Connection {
        let votes = votes(sentinels, master, patience)
        var failure = votes.failure ?? .timedOut(after: connectTimeout, wasSent: false)
        for address in votes.masters {
            do throws(RedisError) {
                let connection = try loggedIn(try dial(address, patience.atMost(replyTimeout)), patience)
                guard try isMaster(connection, patience) else { throw RedisError.readOnly }
                return connection
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// Asks one sentinel after the other until more than half of them agree; some may be dead or late to know.
    private func votes(_ sentinels: [RedisAddress], _ master: String, _ patience: Patience) -> Votes {
        var votes = Votes()
        var counts: [RedisAddress: Int] = [:]
        for sentinel in sentinels where ContinuousClock.now < patience.end {
            do throws(RedisError) {
                let address = try masterAddress(master, sentinel, patience.atMost(replyTimeout))
                counts[address, default: 0] += 1
                guard counts[address, default: 0] * 2 <= sentinels.count else {
                    votes.hasMajority = true
                    break
                }
            } catch {
                votes.failure = error
            }
        }
        votes.masters = counts.sorted { $0.value > $1.value }.map(\.key)
        return votes
    }

    private func masterAddress(
        _ master: String,
        _ sentinel: RedisAddress,
        _ patience: Patience
    ) throws(RedisError) -> RedisAddress {
        let connection = try dial(sentinel, patience)
        let reply = try exchange(RedisCommand("SENTINEL", "get-master-addr-by-name", master), connection, patience)
        if case .error(let message) = reply { throw refusal(message, connection) }
        guard let words = reply.array, words.count == 2, let host = words[0].text,
            let port = words[1].text.flatMap({ UInt16($0) })
        else {
            throw .refused(address: sentinel.description, reason: "the sentinel knows no master of that name")
        }
        return RedisAddress(host: host, port: port)
    }

    /// After a failover the old master still answers for a while; writes to it would be lost.
    private func isMaster(_ connection: Connection, _ patience: Patience) throws(RedisError) -> Bool {
        let reply = try exchange(RedisCommand("ROLE"), connection, patience)
        if case .error(let message) = reply {
            // A user without the right to ask is trusted to meet READONLY soon enough.
            if message.hasPrefix("NOPERM") { return true }
            throw refusal(message, connection)
        }
        return reply.array?.first?.text == "master"
    }
}
