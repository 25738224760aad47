import CCurl

/// One libcurl easy handle with the lists and the text buffer it points into. Confined to the loop thread.
///
/// A class and not a noncopyable struct because idle handles wait in an array to be used again.
final class EasyHandle {
    /// Options that take a whole number.
    struct Flag {
        let option: CURLoption

        static let noSignal = Flag(option: CURLOPT_NOSIGNAL)
        static let quickExit = Flag(option: CURLOPT_QUICK_EXIT)
        static let followLocation = Flag(option: CURLOPT_FOLLOWLOCATION)
        static let verifyPeer = Flag(option: CURLOPT_SSL_VERIFYPEER)
        static let verifyHost = Flag(option: CURLOPT_SSL_VERIFYHOST)
        static let tlsVersion = Flag(option: CURLOPT_SSLVERSION)
        static let httpVersion = Flag(option: CURLOPT_HTTP_VERSION)
        static let decodesContent = Flag(option: CURLOPT_HTTP_CONTENT_DECODING)
        static let keepsAlive = Flag(option: CURLOPT_TCP_KEEPALIVE)
        static let keepAliveIdleSeconds = Flag(option: CURLOPT_TCP_KEEPIDLE)
        static let keepAliveIntervalSeconds = Flag(option: CURLOPT_TCP_KEEPINTVL)
        static let maxIdleSeconds = Flag(option: CURLOPT_MAXAGE_CONN)
        static let connectTimeoutMilliseconds = Flag(option: CURLOPT_CONNECTTIMEOUT_MS)
        static let timeoutMilliseconds = Flag(option: CURLOPT_TIMEOUT_MS)
        static let noBody = Flag(option: CURLOPT_NOBODY)
    }

    /// Options that take a text, which libcurl copies.
    struct Text {
        let option: CURLoption

        static let url = Text(option: CURLOPT_URL)
        static let method = Text(option: CURLOPT_CUSTOMREQUEST)
        static let protocols = Text(option: CURLOPT_PROTOCOLS_STR)
        static let proxy = Text(option: CURLOPT_PROXY)
        static let noProxy = Text(option: CURLOPT_NOPROXY)
        static let caFile = Text(option: CURLOPT_CAINFO)
        static let caDirectory = Text(option: CURLOPT_CAPATH)
    }

    /// Options that take a list of lines; the handle keeps the list.
    struct Lines {
        let option: CURLoption

        static let headers = Lines(option: CURLOPT_HTTPHEADER)
        static let resolve = Lines(option: CURLOPT_RESOLVE)
    }

    let raw: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>
    private var lists: [UnsafeMutablePointer<curl_slist>] = []
    /// The first option that was refused since the last reset.
    private(set) var optionFailure: CURLcode?

    /// - Returns: nil without memory.
    init?() {
        guard let raw = curl_easy_init() else { return nil }
        self.raw = raw
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        reset()
    }

    deinit {
        curl_easy_cleanup(raw)
        freeLists()
        errorText.deallocate()
    }

    /// Forgets every option, and with them all that a request brought; the handle must not be in a multi handle.
    func reset() {
        curl_easy_reset(raw)
        freeLists()
        optionFailure = nil
        errorText[0] = 0
        note(ccurl_set_error_buffer(raw, errorText))
    }

    func set(_ flag: Flag, _ value: Int) {
        note(ccurl_set_long(raw, flag.option, value))
    }

    func set(_ text: Text, _ value: String?) {
        note(ccurl_set_text(raw, text.option, value))
    }

    func set(_ lines: Lines, _ values: [String]) {
        var list: UnsafeMutablePointer<curl_slist>?
        for value in values {
            guard let longer = curl_slist_append(list, value) else {
                curl_slist_free_all(list)
                return note(CURLE_OUT_OF_MEMORY)
            }
            list = longer
        }
        guard let list else { return }
        lists.append(list)
        note(ccurl_set_list(raw, lines.option, list))
    }

    /// Sets a body, possibly empty, and with it the method POST unless another is set; libcurl copies the bytes.
    func setBody(_ body: [UInt8]) {
        // A null pointer would make libcurl read the body from standard input.
        let code = (body.isEmpty ? [0] : body).withUnsafeBytes { bytes in
            ccurl_set_body(raw, bytes.baseAddress, curl_off_t(body.count))
        }
        note(code)
    }

    /// Connects the callbacks. *Borrowed* by libcurl: the loop keeps `transfer` until the handle has been removed from
    /// the multi handle, and `sockets` until the multi handle and with it the last connection is gone.
    func connect(transfer: Transfer, sockets: SocketKeeper) {
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        note(ccurl_on_body(raw, onBody, context))
        note(ccurl_on_header(raw, onHeader, context))
        note(ccurl_on_request(raw, onRequest, context))
        let keeper = Unmanaged.passUnretained(sockets).toOpaque()
        note(ccurl_on_open_socket(raw, onOpenSocket, keeper))
        note(ccurl_on_close_socket(raw, onCloseSocket, keeper))
    }

    /// A number about the last transfer; 0 if libcurl does not know it.
    func number(_ info: CURLINFO) -> Int {
        var value = 0
        return ccurl_get_long(raw, info, &value) == CURLE_OK ? value : 0
    }

    /// What libcurl said about the last failure beyond its code; may be empty.
    var failureText: String { String(cString: errorText) }

    private func note(_ code: CURLcode) {
        if code != CURLE_OK && optionFailure == nil { optionFailure = code }
    }

    private func freeLists() {
        for list in lists { curl_slist_free_all(list) }
        lists = []
    }
}

extension CURLcode {
    /// libcurl's constant text for the code; holds nothing of the request.
    var text: String { String(cString: curl_easy_strerror(self)) }
}
