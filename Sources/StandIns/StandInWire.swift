public import SandboxCore

/// What lies between a replica's connection and the server of a stand-in: delays, losses, what a simulation wants.
///
/// Without one every call is answered at once.
public protocol StandInWire: Sendable {
    /// Brings a call to the server and its answer back.
    ///
    /// - Parameters:
    ///   - call: Which call, for whoever decides about its fate.
    ///   - effect: What it does at the server; may be run more than once, later than the caller waits, or not at all.
    /// - Returns: The answer, or that none came.
    func carry<Value: Sendable>(
        _ call: StandInCall,
        _ effect: @escaping @Sendable () -> Result<Value, StoreError>
    ) async -> Result<Value, StoreError>

    /// Brings a notice to the replica.
    func deliver(_ notice: StoreNotice, _ hear: @escaping @Sendable (StoreNotice) -> Void)

    /// Stands for a subscription until the task is cancelled; tells when endings are heard and when not.
    func listen(_ hear: @escaping @Sendable (StoreNotice) -> Void) async
}

/// A call of a stand-in's connection.
public struct StandInCall: Sendable, Hashable {
    /// The name of the method.
    public var name: String
    /// Whose entry it is about, if of one.
    public var key: LeaseKey?

    /// Names both.
    public init(_ name: String, _ key: LeaseKey? = nil) {
        self.name = name
        self.key = key
    }
}
