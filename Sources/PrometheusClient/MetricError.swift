/// Why a metric could not be registered or a page could not be rendered.
public enum MetricError: Error, Hashable, Sendable {
    /// The name is not `[a-zA-Z_][a-zA-Z0-9_]*`. Colons are left to recording rules.
    case invalidName(String)
    /// A counter's name does not end in `_total`.
    case counterNameLacksTotal(String)
    /// The name ends in a suffix that belongs to another type, for example a gauge ending in `_total`.
    case reservedSuffix(name: String, suffix: String)
    /// The name, or a sample name derived from it in one of the formats, already belongs to another metric.
    case nameTaken(name: String, clashing: String)
    /// The help text is empty.
    case emptyHelp(name: String)
    /// A label name is malformed or reserved (`le`, or starting with `__`).
    case invalidLabelName(name: String, label: String)
    /// Two labels of one metric have the same name.
    case duplicateLabelName(name: String, label: String)
    /// A label value is empty, which Prometheus reads as "no such label".
    case emptyLabelValue(name: String, label: String)
    /// A row has more or fewer values than there are label names.
    case labelCountMismatch(name: String, labelValues: [String])
    /// Two children have the same label values.
    case duplicateSeries(name: String, labelValues: [String])
    /// The family would have no child at all.
    case noSeries(name: String)
    /// The fallback is not one of the family's children.
    case unknownFallback(name: String)
    /// The bucket bounds are empty, too many, negative, not finite or not ascending.
    case invalidBuckets(name: String, bounds: [Double])
    /// A collector threw while a page was being made; `reason` is its error in words.
    case collectorFailed(collector: String, reason: String)
}
