/// A label whose values are known when the program is compiled.
///
/// Because the set of values is closed, every child of a family exists at 0 from the start and the number of series
/// does not depend on the traffic. Anything unknown belongs into a case such as `other`.
public protocol MetricLabel: CaseIterable, Hashable, Sendable {
    /// The label's name: a letter or `_`, then letters, digits and `_`; not `le`, and not starting with `__`.
    static var labelName: String { get }

    /// The value printed for this case; not empty, and different for each case. It is escaped when printed.
    var labelValue: String { get }
}

extension MetricLabel where Self: RawRepresentable, RawValue == String {
    /// The raw value.
    public var labelValue: String { rawValue }
}
