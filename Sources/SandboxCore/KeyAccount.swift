/// What the books say of a key beside its entry: what is open, what is dying, and how its user stands.
public struct KeyAccount: Sendable, Hashable {
    /// A creation whose outcome is open.
    public struct OpenIntent: Sendable, Hashable {
        /// Its name.
        public var token: CreationToken
        /// The replica that works on it; empty if it is known that none does.
        public var owner: String
        /// How long ago it was written.
        public var age: Duration
        /// Whether it holds the key; otherwise the key is free, and only the slot waits for the outcome.
        public var isHeld: Bool

        /// Bundles the four.
        public init(token: CreationToken, owner: String, age: Duration, isHeld: Bool) {
            self.token = token
            self.owner = owner
            self.age = age
            self.isHeld = isHeld
        }
    }

    /// A sandbox of the key that must die and is not confirmed dead.
    public struct Kill: Sendable, Hashable {
        /// What is known of it.
        public var ticket: KillTicket
        /// How long ago it was condemned.
        public var age: Duration
        /// When the outbox worker tries next; zero if it is due.
        public var nextIn: Duration

        /// Bundles the three.
        public init(ticket: KillTicket, age: Duration, nextIn: Duration) {
            self.ticket = ticket
            self.age = age
            self.nextIn = nextIn
        }
    }

    /// Slots that the key's user holds, those of dying sandboxes included.
    public var userSlots = 0
    /// Those of them whose sandbox is condemned, or will be as soon as it is made.
    public var userReleasing = 0
    /// The key's creations whose outcome is open, oldest first.
    public var intents: [OpenIntent] = []
    /// The key's sandboxes that are dying, oldest first.
    public var kills: [Kill] = []

    /// Nothing known.
    public init() {}
}

extension KillTicket {
    /// For the sandbox of a lease, with its slot.
    init(of lease: LeaseRecord, _ reason: KillReason) {
        self.init(
            sandbox: lease.sandbox.id,
            token: lease.token,
            key: lease.key,
            reason: reason,
            epoch: lease.epoch
        )
    }
}
