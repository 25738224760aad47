extension ExpositionFormat {
    /// Chooses the format for a request.
    ///
    /// For each format the most specific range that covers it decides its quality, and the higher quality wins. If
    /// they are equal, the more specific range wins, then the one listed first, then the text format.
    ///
    /// - Parameter acceptHeader: The `Accept` header's value, several headers joined by commas; nil if there is none.
    /// - Returns: The text format if nothing fits, never a refusal: a scrape that can be read is worth more than 406.
    public static func negotiate(acceptHeader: String?) -> ExpositionFormat {
        guard let acceptHeader else { return .text }
        let ranges = MediaRange.split(acceptHeader[...], at: ",").map(MediaRange.init)
        let text = bestMatch(for: .text, in: ranges)
        let openMetrics = bestMatch(for: .openMetrics, in: ranges)
        guard let openMetrics, openMetrics.quality > 0 else { return .text }
        guard let text, text.quality > 0 else { return .openMetrics }
        if openMetrics.quality != text.quality {
            return openMetrics.quality > text.quality ? .openMetrics : .text
        }
        if openMetrics.rangeKind != text.rangeKind {
            return openMetrics.rangeKind > text.rangeKind ? .openMetrics : .text
        }
        return openMetrics.position < text.position ? .openMetrics : .text
    }

    private struct Match {
        /// 0 for `*/*` to 3 for the media type with the version that is sent.
        let specificity: Int
        let quality: Double
        let position: Int

        /// 0 for `*/*`, 1 for `type/*`, 2 for the media type, with or without its version.
        var rangeKind: Int { min(specificity, 2) }
    }

    private static func bestMatch(for format: ExpositionFormat, in ranges: [MediaRange?]) -> Match? {
        var best: Match?
        for (position, range) in ranges.enumerated() {
            guard let range, let specificity = format.specificity(of: range) else { continue }
            if let best, (best.specificity, best.quality) >= (specificity, range.quality) { continue }
            best = Match(specificity: specificity, quality: range.quality, position: position)
        }
        return best
    }

    /// How closely `range` describes this format; nil if it does not cover it.
    private func specificity(of range: MediaRange) -> Int? {
        let (type, subtype, versions) =
            switch self {
            case .text: ("text", "plain", ["0.0.4"])
            // 0.0.1 is the draft that became 1.0.0; its readers understand what is printed here.
            case .openMetrics: ("application", "openmetrics-text", ["1.0.0", "0.0.1"])
            }
        switch (range.type, range.subtype) {
        case ("*", "*"): return 0
        case (type, "*"): return 1
        case (type, subtype):
            guard ["utf-8", "utf8", nil].contains(range.charset) else { return nil }
            guard let version = range.version else { return 2 }
            guard let rank = versions.firstIndex(of: version) else { return nil }
            return rank == 0 ? 3 : 2
        default: return nil
        }
    }
}
