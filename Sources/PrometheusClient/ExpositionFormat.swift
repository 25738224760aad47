/// A text format in which a page of metrics can be rendered.
public enum ExpositionFormat: Hashable, Sendable, CaseIterable {
    /// The Prometheus text format, version 0.0.4.
    case text
    /// OpenMetrics text, version 1.0.0.
    case openMetrics

    /// The complete `Content-Type` header value. Prometheus 3 refuses a page without a valid one.
    public var contentType: String {
        switch self {
        case .text: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }
}
