internal import CMicrohttpd
internal import HTTPTypes
internal import Synchronization

/// What the library's callbacks work on: one running daemon's handler, tables and counters.
final class ServerCore: Sendable {
    /// Bytes of a refused body that are read and thrown away before the client is cut off: enough for a client that
    /// misjudged the limit to read its answer, little enough not to be an upload.
    private static let maxDiscardedBytes = 4 << 20

    let configuration: HTTPServerConfiguration
    let handler: any HTTPHandler
    let observer: (any HTTPServerObserver)?
    private let spawn: HTTPServer.Spawner
    let connections = ConnectionTable()
    let pending: PendingTable
    let watchdogInbox: WatchdogInbox
    /// Requests between their request line and their completed callback.
    let activeRequests = Atomic<Int>(0)
    /// Those of them that the handler has been given.
    let answeringRequests = Atomic<Int>(0)
    let isDraining = Atomic<Bool>(false)

    private let arrivalNanoseconds: UInt64
    private let idleNanoseconds: UInt64
    private let sendNanoseconds: UInt64

    init(
        configuration: HTTPServerConfiguration,
        handler: any HTTPHandler,
        observer: (any HTTPServerObserver)?,
        spawn: @escaping HTTPServer.Spawner,
        watchdogInbox: WatchdogInbox
    ) {
        self.configuration = configuration
        self.handler = handler
        self.observer = observer
        self.spawn = spawn
        self.watchdogInbox = watchdogInbox
        pending = PendingTable(limit: configuration.maxPendingRequests)
        arrivalNanoseconds = configuration.arrivalTimeout.clampedNanoseconds
        idleNanoseconds = configuration.idleTimeout.clampedNanoseconds
        sendNanoseconds = configuration.sendTimeout.clampedNanoseconds
    }

    // MARK: Connections

    func connectionOpened(socket: Int32) -> ConnectionRecord {
        let record = ConnectionRecord(socket: socket, arrivalDeadline: CoarseTime.now + arrivalNanoseconds)
        if connections.insert(record) { watchdogInbox.wake() }
        observer?.connectionOpened()
        return record
    }

    /// Called before the library closes the socket.
    func connectionClosed(_ record: ConnectionRecord) {
        observer?.connectionClosed()
        // Accepting pauses at the limit.
        if connections.remove(record) == configuration.maxConnections - 1 { watchdogInbox.wake() }
        watchdogInbox.lingerIfNeeded(record)
    }

    // MARK: Requests

    func requestStarted(on record: ConnectionRecord, target: UnsafePointer<CChar>?) -> Exchange {
        // The first request of a connection lives under the deadline set when it opened.
        if record.requests.add(1, ordering: .relaxed).oldValue > 0 {
            record.set(.arrival, at: CoarseTime.now + arrivalNanoseconds)
        }
        activeRequests.add(1, ordering: .relaxed)
        observer?.requestStarted()
        return Exchange(connection: record, target: target)
    }

    func requestEnded(_ exchange: Exchange, libraryStatus: Int?) {
        exchange.connection.wasCutShort.store(!exchange.hasArrived, ordering: .relaxed)
        exchange.connection.set(.idle, at: CoarseTime.now + idleNanoseconds)
        // Reported before it is uncounted: whoever sees the count at 0 has been told of every ending.
        observer?.requestFinished(status: exchange.status ?? libraryStatus)
        if exchange.hasReachedHandler { answeringRequests.subtract(1, ordering: .relaxed) }
        activeRequests.subtract(1, ordering: .releasing)
    }

    /// One call of the library's access handler.
    ///
    /// - Parameters:
    ///   - exchange: The request.
    ///   - connection: The library's connection, for queueing and suspending.
    ///   - method: As it arrived.
    ///   - version: As it arrived.
    ///   - upload: The next bytes of the body, valid during the call; empty when the request is complete.
    /// - Returns: `.NO` to cut the connection.
    func advance(
        _ exchange: Exchange,
        on connection: OpaquePointer,
        method: UnsafePointer<CChar>,
        version: UnsafePointer<CChar>,
        upload: UnsafeBufferPointer<UInt8>
    ) -> MHD_Result {
        switch exchange.phase {
        case .header:
            return headerArrived(exchange, on: connection, method: method, version: version)
        case .body(let request) where upload.isEmpty:
            return requestArrived(exchange, request, on: connection)
        case .body(let request):
            guard exchange.body.count + upload.count <= configuration.maxBodyBytes else {
                // The library takes responses only before or after the body, so the rest is read and thrown away.
                exchange.body = []
                exchange.phase = .discarding(refuse(.payloadTooLarge, request, closing: true))
                return discard(upload.count, of: exchange)
            }
            exchange.body.append(contentsOf: upload)
            return .YES
        case .discarding(let response) where upload.isEmpty:
            exchange.hasArrived = true
            return queue(response, for: exchange, on: connection)
        case .discarding:
            return discard(upload.count, of: exchange)
        case .pending:
            // The connection was resumed, which happens only after the answer was stored.
            guard let response = exchange.settled else { return .NO }
            exchange.settled = nil
            return queue(response, for: exchange, on: connection)
        case .answered:
            return .YES
        }
    }

    private func discard(_ count: Int, of exchange: Exchange) -> MHD_Result {
        exchange.discardedBytes += count
        return exchange.discardedBytes <= Self.maxDiscardedBytes ? .YES : .NO
    }

    private func headerArrived(
        _ exchange: Exchange,
        on connection: OpaquePointer,
        method: UnsafePointer<CChar>,
        version: UnsafePointer<CChar>
    ) -> MHD_Result {
        let head: RequestHead
        switch RequestHead.parse(
            connection,
            exchange: exchange,
            method: method,
            version: version,
            maxHeaderBytes: configuration.maxHeaderBytes
        )
        {
        case .accepted(let parsed): head = parsed
        case .refused(let refusal):
            // Queued in the first call, a response also closes the connection: what follows cannot be trusted.
            return queue(refuse(refusal, nil, closing: true), for: exchange, on: connection)
        }
        if let length = head.contentLength, length > UInt64(configuration.maxBodyBytes) {
            return queue(refuse(.payloadTooLarge, head.request, closing: true), for: exchange, on: connection)
        }
        guard var answer = handler.admit(head.request) else {
            exchange.phase = .body(head.request)
            if let length = head.contentLength { exchange.body.reserveCapacity(Int(length)) }
            return .YES
        }
        guard head.announcesBody else {
            // Queued in the next call, which follows at once, so that the connection can be kept.
            exchange.phase = .discarding(answer)
            return .YES
        }
        answer.closeConnection = true
        return queue(answer, for: exchange, on: connection)
    }

    private func requestArrived(
        _ exchange: Exchange,
        _ request: ServerRequest,
        on connection: OpaquePointer
    ) -> MHD_Result {
        exchange.hasArrived = true
        exchange.hasReachedHandler = true
        answeringRequests.add(1, ordering: .relaxed)
        exchange.connection.set(nil)
        var request = request
        swap(&request.body, &exchange.body)
        switch handler.handle(request) {
        case .finished(let response):
            return queue(response, for: exchange, on: connection)
        case .pending(let work):
            return suspend(exchange, request, on: connection, until: work)
        }
    }

    private func suspend(
        _ exchange: Exchange,
        _ request: ServerRequest,
        on connection: OpaquePointer,
        until work: @escaping @Sendable () async -> ServerResponse
    ) -> MHD_Result {
        if let refusal = pending.refusal {
            return queue(refuse(refusal, request), for: exchange, on: connection)
        }
        exchange.phase = .pending
        // Suspended before anybody can resume it.
        MHD_suspend_connection(connection)
        let id: UInt64
        switch pending.insert(connection, exchange) {
        case .inserted(let inserted): id = inserted
        case .refused(let refusal):
            // Rare: the table filled up or closed since the look above.
            exchange.settled = refuse(refusal, request)
            MHD_resume_connection(connection)
            return .YES
        }
        let cancel = spawn { [pending] in pending.settle(id, with: await work()) }
        pending.setCancel(id, cancel)
        return .YES
    }

    // MARK: Responses

    /// The handler's response for a refusal.
    func refuse(_ refusal: ServerRefusal, _ request: ServerRequest?, closing: Bool = false) -> ServerResponse {
        observer?.requestRefused(refusal)
        var request = request
        request?.body = []
        var response = handler.refusal(refusal, request: request)
        if closing { response.closeConnection = true }
        return response
    }

    private func queue(
        _ response: ServerResponse,
        for exchange: Exchange,
        on connection: OpaquePointer
    ) -> MHD_Result {
        var response = response
        if !(200...599).contains(response.status) {
            response = refuse(.internalError, nil)
            if !(200...599).contains(response.status) { response = ServerResponse(status: 500) }
        }
        exchange.phase = .answered
        exchange.status = response.status
        exchange.connection.set(.sending, at: CoarseTime.now + sendNanoseconds)
        let isLast = response.closeConnection || isDraining.load(ordering: .relaxed)
        guard let message = response.makeMessage(closing: isLast) else { return .NO }
        // Queueing takes a reference of the library's own.
        defer { MHD_destroy_response(message) }
        return MHD_queue_response(connection, UInt32(response.status), message)
    }
}

extension ServerResponse {
    /// The library's form of the response; the caller destroys it. nil when memory runs out.
    fileprivate func makeMessage(closing: Bool) -> OpaquePointer? {
        let message = body.withUnsafeBytes { bytes in
            // The library copies the bytes before it returns, so it never writes through the pointer.
            MHD_create_response_from_buffer(
                bytes.count,
                UnsafeMutableRawPointer(mutating: bytes.baseAddress),
                .RESPMEM_MUST_COPY
            )
        }
        guard let message else { return nil }
        for field in headers {
            switch field.name {
            case .connection, .contentLength, .transferEncoding, .date:
                // The server's own.
                continue
            default:
                guard MHD_add_response_header(message, field.name.rawName, field.value) == .YES else {
                    MHD_destroy_response(message)
                    return nil
                }
            }
        }
        if closing { _ = MHD_add_response_header(message, "Connection", "close") }
        return message
    }
}
