import PrometheusClient
import Testing

/// All combinations of qualities and orders, held against the rule written down a second time.
@Suite struct NegotiationTableTests {
    private static let qualities: [String?] = [nil, "0", "0.001", "0.5", "0.999", "1"]

    /// Ranges that cover one format, or both.
    private static let texts = ["text/plain", "text/plain;version=0.0.4"]
    private static let openMetrics = ["application/openmetrics-text", "application/openmetrics-text;version=1.0.0"]

    @Test(arguments: qualities, qualities)
    func `every table of qualities has one answer, in every order`(text: String?, openMetrics: String?) {
        for any in Self.qualities {
            for (textRange, openRange) in zip(Self.texts, Self.openMetrics) {
                let elements = [(textRange, text), (openRange, openMetrics), ("*/*", any)].compactMap {
                    range,
                    quality in
                    quality.map { (range, $0) }
                }
                for order in Self.permutations(elements) {
                    let header = order.map { "\($0.0);q=\($0.1)" }.joined(separator: ", ")
                    let textPosition = order.firstIndex { $0.0 == textRange } ?? order.count
                    let openPosition = order.firstIndex { $0.0 == openRange } ?? order.count
                    let expected = Self.expected(
                        text,
                        openMetrics,
                        any,
                        isOpenMetricsFirst: openPosition < textPosition
                    )
                    #expect(ExpositionFormat.negotiate(acceptHeader: header) == expected, "\(header)")
                }
            }
        }
    }

    private static func expected(
        _ text: String?,
        _ openMetrics: String?,
        _ any: String?,
        isOpenMetricsFirst: Bool
    ) -> ExpositionFormat {
        let textQuality = Double(text ?? any ?? "0") ?? 0
        let openQuality = Double(openMetrics ?? any ?? "0") ?? 0
        // What nobody accepts is sent as text: never a refusal.
        if openQuality == 0 { return .text }
        if openQuality != textQuality { return openQuality > textQuality ? .openMetrics : .text }
        switch (text, openMetrics) {
        case (nil, nil), (_?, nil): return .text
        case (nil, _?): return .openMetrics
        case (_?, _?): return isOpenMetricsFirst ? .openMetrics : .text
        }
    }

    private static func permutations<Element>(_ elements: [Element]) -> [[Element]] {
        guard !elements.isEmpty else { return [[]] }
        return elements.indices.flatMap { index in
            var rest = elements
            let first = rest.remove(at: index)
            return permutations(rest).map { [first] + $0 }
        }
    }

    @Test(arguments: [
        "*/*;q=0", "text/plain;q=0, application/openmetrics-text;q=0", "image/png", "text/html;q=1", "\u{0}", "\"",
        ";;;",
        "a/b;c=\"", String(repeating: ",", count: 10_000), String(repeating: "text/plain;q=0,", count: 1000),
        "application/openmetrics-text;q=0.5\u{301}", "\u{feff}application/openmetrics-text",
    ])
    func `whatever is sent, there is an answer, and it is the text format where nothing fits`(header: String) {
        #expect(ExpositionFormat.negotiate(acceptHeader: header) == .text)
    }
}
