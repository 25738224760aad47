internal import CMicrohttpd

// libmicrohttpd's callbacks. Their context is the `ServerCore`, borrowed: `RunningDaemon` retains it until the daemon
// has stopped, and the daemon calls nobody after that.

private func borrowCore(_ context: UnsafeMutableRawPointer) -> ServerCore {
    Unmanaged<ServerCore>.fromOpaque(context).takeUnretainedValue()
}

/// A connection was accepted, or is about to be closed.
let onConnection: MHD_NotifyConnectionCallback = { context, connection, slot, event in
    guard let context, let connection, let slot else { return }
    let core = borrowCore(context)
    if event == .CONNECTION_NOTIFY_STARTED {
        // The library owns one reference from here to the closed event of the same connection.
        let record = core.connectionOpened(socket: cmhd_socket(connection))
        slot.pointee = Unmanaged.passRetained(record).toOpaque()
    } else if let record = slot.pointee {
        // The last call for a connection: take the reference back here and nowhere else.
        slot.pointee = nil
        core.connectionClosed(Unmanaged<ConnectionRecord>.fromOpaque(record).takeRetainedValue())
    }
}

/// A request line has arrived. What this returns becomes the request's slot in the other callbacks.
let onTarget:
    @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?, OpaquePointer?) -> UnsafeMutableRawPointer? = {
        context,
        target,
        connection in
        guard let context, let connection, let record = cmhd_socket_context(connection) else { return nil }
        // Borrowed: the connection stays open during the call.
        let owner = Unmanaged<ConnectionRecord>.fromOpaque(record).takeUnretainedValue()
        let exchange = borrowCore(context).requestStarted(on: owner, target: target)
        // The library owns one reference from here to the completed callback, which runs for every ending.
        return Unmanaged.passRetained(exchange).toOpaque()
    }

/// Header, body bytes, end of the request, or a resumed connection.
let onAccess: MHD_AccessHandlerCallback = {
    context,
    connection,
    _,
    method,
    version,
    uploadBytes,
    uploadCount,
    slot in
    guard let context, let connection, let method, let version, let uploadCount, let exchange = slot?.pointee else {
        return .NO
    }
    let upload = UnsafeBufferPointer(
        start: uploadBytes.map { UnsafeRawPointer($0).assumingMemoryBound(to: UInt8.self) },
        count: uploadBytes == nil ? 0 : uploadCount.pointee
    )
    // All of it is consumed (copied or thrown away) in this call.
    uploadCount.pointee = 0
    return borrowCore(context).advance(
        Unmanaged<Exchange>.fromOpaque(exchange).takeUnretainedValue(),
        on: connection,
        method: method,
        version: version,
        upload: upload
    )
}

/// A request ended, in whatever way.
let onCompleted: MHD_RequestCompletedCallback = { context, connection, slot, _ in
    guard let context, let connection, let exchange = slot?.pointee else { return }
    // The last call for a request: take the reference back here and nowhere else.
    slot?.pointee = nil
    let status = Int(cmhd_status(connection))
    borrowCore(context).requestEnded(
        Unmanaged<Exchange>.fromOpaque(exchange).takeRetainedValue(),
        libraryStatus: status == 0 ? nil : status
    )
}
