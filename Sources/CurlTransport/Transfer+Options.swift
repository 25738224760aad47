import CCurl
import HTTPTypes

extension Transfer {
    /// Everything that is decided when a transfer starts.
    struct Plan {
        var request: TransportRequest
        var target: RequestTarget
        var resolveLines: [String]
        var connectTimeout: Duration
        var remaining: Duration
    }

    /// Sets every option of the handle; false with `handle.optionFailure` set if libcurl refuses one.
    func prepare(_ plan: Plan, configuration: CurlConfiguration, sockets: SocketKeeper) -> Bool {
        setConnection(plan, configuration: configuration)
        setTimes(plan, configuration: configuration)
        setMessage(plan.request, configuration: configuration)
        handle.connect(transfer: self, sockets: sockets)
        return handle.optionFailure == nil
    }

    private func setConnection(_ plan: Plan, configuration: CurlConfiguration) {
        handle.set(.url, plan.request.url)
        handle.set(.protocols, "http,https")
        handle.set(.followLocation, 0)
        handle.set(.decodesContent, 0)
        // An empty proxy also switches off the proxy variables of the environment: only configuration decides.
        handle.set(.proxy, "")
        handle.set(.noProxy, "*")
        let http2 = configuration.allowsHTTP2 && plan.target.isEncrypted
        handle.set(.httpVersion, http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1)
        handle.set(.verifyPeer, 1)
        handle.set(.verifyHost, 2)
        handle.set(.tlsVersion, CURL_SSLVERSION_TLSv1_2)
        if let caFile = configuration.caFile {
            handle.set(.caFile, caFile)
            // Otherwise the system's directory would still be trusted besides.
            handle.set(.caDirectory, nil)
        }
        // The addresses come from our own lookup, so libcurl never starts a resolver thread.
        handle.set(.resolve, plan.resolveLines)
    }

    private func setTimes(_ plan: Plan, configuration: CurlConfiguration) {
        handle.set(.noSignal, 1)
        // Should libcurl look up a name in spite of everything, removing the transfer must not join that thread.
        handle.set(.quickExit, 1)
        handle.set(.connectTimeoutMilliseconds, plan.connectTimeout.optionMilliseconds)
        // The loop watches the deadline itself, as libcurl does not while a transfer waits for a connection; this is
        // the second line, and later so that the first one decides.
        handle.set(.timeoutMilliseconds, (plan.remaining + .seconds(1)).optionMilliseconds)
        let idleSeconds = (configuration.idleConnectionLifetime.roundedUpMilliseconds + 999) / 1000
        handle.set(.maxIdleSeconds, Int(min(idleSeconds, 1_000_000)))
        handle.set(.keepsAlive, 1)
        handle.set(.keepAliveIdleSeconds, 30)
        handle.set(.keepAliveIntervalSeconds, 15)
    }

    private func setMessage(_ request: TransportRequest, configuration: CurlConfiguration) {
        var lines = request.headers.map { field in
            // libcurl's notation: "Name:" would remove a field, "Name;" sends it empty.
            field.value.isEmpty ? "\(field.name.rawName);" : "\(field.name.rawName): \(field.value)"
        }
        if request.headers[.accept] == nil { lines.append("Accept: application/json") }
        if request.headers[.userAgent] == nil { lines.append("User-Agent: \(configuration.userAgent)") }
        let sendsBody = !request.body.isEmpty || [.post, .put, .patch].contains(request.method)
        if sendsBody {
            // A method that has a body sends "Content-Length: 0" for an empty one. Neither the form type that libcurl
            // adds by itself nor its wait for "100 Continue" is wanted.
            handle.setBody(request.body)
            lines.append("Expect:")
            if request.headers[.contentType] == nil { lines.append("Content-Type:") }
        }
        if request.method == .head {
            handle.set(.noBody, 1)
        } else if request.method != (sendsBody ? .post : .get) {
            handle.set(.method, request.method.rawValue)
        }
        handle.set(.headers, lines)
    }
}

extension Duration {
    /// For libcurl, which takes 0 for "no limit" and keeps milliseconds in an `int` in places.
    fileprivate var optionMilliseconds: Int {
        Int(min(max(roundedUpMilliseconds, 1), Int64(Int32.max)))
    }
}
