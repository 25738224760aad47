import CCurl

/// What a failed transfer is called outside.
struct TransferFailure {
    let host: String
    let phase: TransferPhase
    let deadline: Duration
    let connectTimeout: Duration
    let bodyLimit: Int
    /// libcurl's `CURLINFO_OS_ERRNO`: the last failure to connect, 0 if none.
    let systemCode: Int32
    /// libcurl's own words; used for connections only, where nothing of the request is known yet.
    let text: String

    /// Translates one of our own refusals.
    func error(for stop: Transfer.Stop) -> CurlError {
        switch stop {
        case .bodyTooLarge: .tooLarge(host: host, limit: bodyLimit)
        case .headersTooLarge: .protocolError(host: host, message: "header section is too large")
        case .wouldSendTwice: .reset(host: host, phase: .waiting)
        }
    }

    /// Translates libcurl's code.
    func error(for code: CURLcode) -> CurlError {
        switch code {
        case CURLE_OPERATION_TIMEDOUT:
            return .timedOut(host: host, phase: phase, after: phase == .connecting ? connectTimeout : deadline)
        case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, CURLE_HTTP2,
            CURLE_HTTP2_STREAM, CURLE_SEND_FAIL_REWIND:
            return .reset(host: host, phase: phase)
        case CURLE_UNSUPPORTED_PROTOCOL where phase != .connecting:
            return .protocolError(host: host, message: "the reply does not start with a status line")
        case CURLE_WEIRD_SERVER_REPLY:
            return .protocolError(host: host, message: code.text)
        case CURLE_OUT_OF_MEMORY where phase == .reading:
            // What this version of libcurl says to a header line beyond its limit of 100 KiB.
            return .protocolError(host: host, message: "header line is too long")
        case _ where Self.isConnecting(code):
            // After a request was sent such a failure belongs to libcurl's repetition of it on a new connection: the
            // first one was lost with its connection, and may have been acted upon.
            return phase == .connecting ? connectionError(for: code) : .reset(host: host, phase: phase)
        default:
            return .other(host: host, code: Int32(bitPattern: code.rawValue), message: code.text, phase: phase)
        }
    }

    private func connectionError(for code: CURLcode) -> CurlError {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .dns(host: host, message: code.text)
        case CURLE_COULDNT_CONNECT: .refused(host: host, code: systemCode)
        case CURLE_SSL_CONNECT_ERROR where wasCutInHandshake: .reset(host: host, phase: .connecting)
        default: .tls(host: host, message: text.isEmpty ? code.text : text)
        }
    }

    /// The peer ended the connection during the handshake. libcurl has one code for every way a handshake fails and
    /// keeps no `errno` of this one, so its text has to tell; if it ever changes, the error is called `.tls` again.
    private var wasCutInHandshake: Bool {
        text.contains("SSL_ERROR_SYSCALL") || text.contains("Connection reset by peer") || text.contains("Broken pipe")
    }

    private static func isConnecting(_ code: CURLcode) -> Bool {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT, CURLE_SSL_CONNECT_ERROR,
            CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE,
            CURLE_SSL_CRL_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_ENGINE_NOTFOUND,
            CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH,
            CURLE_SSL_SHUTDOWN_FAILED, CURLE_USE_SSL_FAILED:
            true
        default: false
        }
    }
}
