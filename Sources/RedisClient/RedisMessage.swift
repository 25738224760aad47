/// What a subscription hears, in order.
public enum RedisMessage: Sendable, Hashable {
    /// From here on every message arrives, until `.lost`. Comes first, and again each time the subscription was
    /// regained; what was published in between is gone, so whatever depends on it has to be checked anew.
    case subscribed
    /// Somebody published bytes to a channel.
    case received(channel: [UInt8], payload: [UInt8])
    /// Messages may be missing from here on. The client goes on trying by itself. `.queueFull` means that the reader
    /// was too slow and messages were dropped.
    case lost(RedisError)
}
