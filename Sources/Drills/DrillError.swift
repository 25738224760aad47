/// Why a drill could not be carried out, or did not go as it should; one line for people.
public struct DrillError: Error, Sendable, Hashable, CustomStringConvertible {
    /// In words, with what was seen instead of what was waited for.
    public let description: String

    init(_ description: String) { self.description = description }
}
