/// Numbers the cases of a label from 0 in the order of `allCases`.
///
/// Searching is inlinable so that it is compiled for the label's type: comparing a few dozen cases one by one then
/// takes a few nanoseconds, where hashing an enum with string raw values takes over a hundred.
@usableFromInline
struct LabelIndex<Label: MetricLabel>: Sendable {
    @usableFromInline let cases: [Label]

    init() {
        cases = Array(Label.allCases)
    }

    /// Nil only for a case that a hand-written `allCases` leaves out.
    @inlinable
    func position(of label: Label) -> Int? {
        cases.firstIndex(of: label)
    }
}
