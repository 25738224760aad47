/// Something that keeps the local provider from working, and how to mend it.
public struct Diagnosis: Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public var problem: String
    /// What an administrator can do about it.
    public var remedy: String

    /// Bundles both.
    public init(problem: String, remedy: String) {
        self.problem = problem
        self.remedy = remedy
    }

    /// One line for a log.
    public var description: String { "\(problem); \(remedy)" }
}
