import CCurl
import Glibc
import LoopThread

/// The client's one thread: takes requests from the inbox, runs them on the multi handle, answers their callers.
///
/// Everything here is confined to that thread after `init`. A request goes through three stages: its name is looked up
/// (elsewhere), it waits for its turn (`AdmissionQueue`), it is transferred.
final class TransferLoop {
    typealias Instant = ContinuousClock.Instant

    /// Idle easy handles kept for the next requests; making one costs more than keeping it.
    private static let maxIdleHandles = 64

    let configuration: CurlConfiguration
    private let multi: MultiHandle
    private let sockets: SocketKeeper
    private let unanswered: CallCounter

    private var calls: [UInt64: Call] = [:]
    /// The calls in the multi handle, by the address of their easy handle.
    private var transfers: [UnsafeMutableRawPointer: Call] = [:]
    private var admission: AdmissionQueue
    private var addresses: AddressCache
    /// Calls that wait for a name; always those in stage `.resolving`.
    private var waitingForName: [String: [UInt64]] = [:]
    private var pins = AddressPins()
    private var idleHandles: [EasyHandle] = []
    /// No call needs attention before this; nil if there are none. May be too early, never too late.
    private var nextCheck: Instant?

    /// - Returns: nil without memory or descriptors.
    init?(configuration: CurlConfiguration, wakeUp: MultiWakeUp, sockets: SocketKeeper, unanswered: CallCounter) {
        guard
            let multi = MultiHandle(
                wakeUp: wakeUp,
                maxConnectionsPerHost: configuration.maxConnectionsPerHost,
                maxTotalConnections: configuration.maxTotalConnections
            )
        else { return nil }
        self.configuration = configuration
        self.multi = multi
        self.sockets = sockets
        self.unanswered = unanswered
        admission = AdmissionQueue(
            limits: .init(
                connectionsPerOrigin: configuration.maxConnectionsPerHost,
                connections: configuration.maxTotalConnections
            )
        )
        addresses = AddressCache(
            lifetime: configuration.addressLifetime,
            staleLifetime: configuration.staleAddressLifetime,
            capacity: 4096
        )
    }

    /// Runs until the inbox is closed; then every call has been answered.
    func run(_ inbox: Inbox<LoopMessage>) {
        let lookups = LookupPool(
            resolver: configuration.resolver,
            maxThreads: configuration.maxConcurrentLookups,
            maxNames: configuration.maxWaitingRequests
        ) { name, result in
            _ = inbox.post(.lookedUp(name, result))
        }
        while true {
            let batch = inbox.take()
            for message in batch.messages { handle(message, lookups) }
            if batch.isLast { break }
            answerOverdueCalls()
            let code = multi.perform()
            if code != CURLM_OK { failTransfers(code) }
            while let (easy, code) = multi.nextFinished() { transferEnded(easy, code) }
            startAdmittedCalls()
            if multi.wait(milliseconds: waitMilliseconds()) != CURLM_OK {
                usleep(10_000)  // out of memory or descriptors: try again, but not in a tight loop
            }
        }
        lookups.close()
        for call in calls.values { answer(call, .failure(.closed(phase: call.phase))) }
        idleHandles = []
    }

    private func handle(_ message: LoopMessage, _ lookups: LookupPool) {
        switch message {
        case .start(let submission): start(submission, lookups)
        case .cancel(let id):
            guard let call = calls[id] else { return }
            answer(call, .failure(.cancelled(host: call.target.host, phase: call.phase)))
        case .lookedUp(let name, let result): lookupEnded(name, result)
        }
    }

    // MARK: Start and end of a call

    private func start(_ submission: Submission, _ lookups: LookupPool) {
        let call = Call(submission, connectTimeout: configuration.connectTimeout)
        if submission.cancellation.isSet {
            return answer(call, .failure(.cancelled(host: call.target.host, phase: .connecting)))
        }
        guard calls.count - transfers.count < configuration.maxWaitingRequests else {
            return answer(call, .failure(.queueFull(limit: configuration.maxWaitingRequests)))
        }
        calls[submission.id] = call
        if call.target.isNumericAddress { enqueue(call) } else { findAddresses(for: call, lookups) }
        if calls[submission.id] != nil { check(call) }
        startAdmittedCalls()
    }

    private func check(_ call: Call) {
        nextCheck = min(nextCheck ?? call.nextCheck, call.nextCheck)
    }

    /// Takes the call out of whatever stage it is in and resumes its caller. The only place that does.
    private func answer(_ call: Call, _ result: Result<TransportResponse, CurlError>) {
        if calls.removeValue(forKey: call.submission.id) != nil {
            switch call.stage {
            case .resolving: waitingForName[call.target.host]?.removeAll { $0 == call.submission.id }
            case .queued: admission.remove(call.submission.id, origin: call.target.origin)
            case .transferring(let transfer):
                // Only a response tells whether the origin multiplexes.
                let version = try? result.get().version
                release(transfer, of: call, multiplexes: version.map { $0 == .http2 })
            }
            if waitingForName[call.target.host]?.isEmpty == true { waitingForName[call.target.host] = nil }
        }
        unanswered.remove()
        call.submission.continuation.resume(returning: result)
    }

    private func release(_ transfer: Transfer, of call: Call, multiplexes: Bool?) {
        multi.remove(transfer.handle)
        transfers[transfer.handle.raw] = nil
        if !call.addresses.isEmpty { pins.unpin(call.target.hostAndPort) }
        admission.finish(origin: call.target.origin, multiplexes: multiplexes)
        // At once, also when the handle is kept: the options hold header values.
        transfer.handle.reset()
        if idleHandles.count < Self.maxIdleHandles { idleHandles.append(transfer.handle) }
    }

    private func answerOverdueCalls() {
        guard let due = nextCheck else { return }
        let now = ContinuousClock.now
        guard now >= due else { return }
        nextCheck = nil
        for call in calls.values {
            let host = call.target.host
            if now >= call.deadline {
                let after = call.submission.request.deadline
                answer(call, .failure(.timedOut(host: host, phase: call.phase, after: after)))
            } else if now >= call.nextCheck {
                let after = configuration.connectTimeout
                answer(call, .failure(.timedOut(host: host, phase: .connecting, after: after)))
            } else {
                check(call)
            }
        }
    }

    private func waitMilliseconds() -> Int32 {
        guard let nextCheck else { return 60_000 }
        return Int32(clamping: min(max(nextCheck - .now, .zero).roundedUpMilliseconds, 60_000))
    }

    // MARK: Names

    private func findAddresses(for call: Call, _ lookups: LookupPool) {
        let host = call.target.host
        let now = ContinuousClock.now
        var isKnown = false
        if case .known(let known, let isOutdated) = addresses.knowledge(of: host, at: now) {
            call.addresses = known
            isKnown = true
            enqueue(call)
            if !isOutdated { return }
        } else {
            call.stage = .resolving(until: call.submission.startedAt + configuration.connectTimeout)
            waitingForName[host, default: []].append(call.submission.id)
        }
        // Half of what a caller waits: who tries again after a timeout gets a lookup of its own.
        guard addresses.shouldLookUp(host, at: now, patience: configuration.connectTimeout / 2) else { return }
        if !lookups.submit(host) {
            addresses.lookupIsOver(host)
            if !isKnown { answer(call, .failure(.dns(host: host, message: "too many name lookups"))) }
        }
    }

    private func lookupEnded(_ host: String, _ result: Result<[String], NameResolver.Failure>) {
        let now = ContinuousClock.now
        // Anything else than a numeric address would end up in libcurl's list as a syntax error, or as a second entry.
        let found = (try? result.get())?.filter(NameResolver.isNumericAddress) ?? []
        addresses.lookupEnded(host, addresses: found, at: now)
        // A first lookup that fails late says nothing about the second one.
        if found.isEmpty && addresses.isBeingLookedUp(host) { return }
        for id in waitingForName.removeValue(forKey: host) ?? [] {
            guard let call = calls[id] else { continue }
            if found.isEmpty {
                var message = "the name has no address"
                if case .failure(let failure) = result { message = failure.message }
                answer(call, .failure(.dns(host: host, message: message)))
            } else {
                call.addresses = found
                call.connectTimeout = configuration.connectTimeout - (now - call.submission.startedAt)
                enqueue(call)
                check(call)
            }
        }
        startAdmittedCalls()
    }

    // MARK: Transfers

    private func enqueue(_ call: Call) {
        call.stage = .queued
        admission.enqueue(call.submission.id, origin: call.target.origin)
    }

    private func startAdmittedCalls() {
        while let id = admission.next() {
            guard let call = calls[id] else { preconditionFailure("an answered call was still queued") }
            startTransfer(call)
        }
    }

    private func startTransfer(_ call: Call) {
        let request = call.submission.request
        guard let handle = idleHandles.popLast() ?? EasyHandle() else {
            admission.finish(origin: call.target.origin, multiplexes: nil)
            return answer(call, .failure(optionError(CURLE_FAILED_INIT, call)))
        }
        let transfer = Transfer(
            id: call.submission.id,
            handle: handle,
            bodyLimit: request.maxResponseBytes ?? configuration.maxResponseBytes,
            isIdempotent: request.isIdempotent
        )
        let plan = Transfer.Plan(
            request: request,
            target: call.target,
            resolveLines: pins.pin(call.target.hostAndPort, addresses: call.addresses),
            connectTimeout: call.connectTimeout,
            remaining: call.deadline - .now
        )
        let isPrepared = transfer.prepare(plan, configuration: configuration, sockets: sockets)
        guard isPrepared, multi.add(handle) == CURLM_OK else {
            if !call.addresses.isEmpty { pins.unpin(call.target.hostAndPort) }
            admission.finish(origin: call.target.origin, multiplexes: nil)
            return answer(call, .failure(optionError(handle.optionFailure ?? CURLE_FAILED_INIT, call)))
        }
        call.stage = .transferring(transfer)
        transfers[handle.raw] = call
    }

    private func optionError(_ code: CURLcode, _ call: Call) -> CurlError {
        .other(host: call.target.host, code: Int32(bitPattern: code.rawValue), message: code.text, phase: .connecting)
    }

    private func transferEnded(_ easy: UnsafeMutableRawPointer, _ code: CURLcode) {
        guard let call = transfers[easy], case .transferring(let transfer) = call.stage else { return }
        if code == CURLE_OK { return answer(call, .success(transfer.response)) }
        let failure = TransferFailure(
            host: call.target.host,
            phase: transfer.phase,
            deadline: call.submission.request.deadline,
            connectTimeout: configuration.connectTimeout,
            bodyLimit: transfer.bodyLimit,
            systemCode: Int32(clamping: transfer.handle.number(CURLINFO_OS_ERRNO)),
            text: transfer.handle.failureText
        )
        // The host may have moved: the next request asks again.
        if transfer.phase == .connecting { addresses.forget(call.target.host) }
        answer(call, .failure(transfer.stop.map(failure.error(for:)) ?? failure.error(for: code)))
    }

    /// The multi handle itself failed, which it does without memory only; the transfers in it cannot be trusted.
    private func failTransfers(_ code: CURLMcode) {
        for call in transfers.values {
            let error = CurlError.other(
                host: call.target.host,
                code: code.rawValue,
                message: String(cString: curl_multi_strerror(code)),
                phase: call.phase
            )
            answer(call, .failure(error))
        }
    }
}

extension Transfer {
    /// The response, complete; for a transfer that ended well.
    var response: TransportResponse {
        let version: TransportResponse.Version =
            switch handle.number(CURLINFO_HTTP_VERSION) {
            case CURL_HTTP_VERSION_1_0: .http1_0
            case CURL_HTTP_VERSION_2_0: .http2
            default: .http1_1
            }
        return TransportResponse(
            status: handle.number(CURLINFO_RESPONSE_CODE),
            headers: headers,
            body: body,
            version: version,
            newConnections: handle.number(CURLINFO_NUM_CONNECTS)
        )
    }
}
