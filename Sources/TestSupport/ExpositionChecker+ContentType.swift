extension ExpositionChecker {
    /// Checks the header sent with a page.
    ///
    /// Prometheus 3 refuses a scrape whose Content-Type is missing, can't be parsed or names a media type it does not
    /// know, where earlier versions took it for the text format; and it chooses its parser by the media type.
    ///
    /// - Parameters:
    ///   - header: The header's value; nil if there was none.
    ///   - format: The format of the page.
    /// - Returns: Everything wrong with it; empty if all is well.
    public static func problems(inContentType header: String?, format: Format) -> [ExpositionProblem] {
        func problem(_ detail: String) -> ExpositionProblem {
            ExpositionProblem(line: 0, kind: .contentType, detail: detail)
        }
        guard let header else { return [problem("missing")] }
        let parts = header.split(separator: ";", omittingEmptySubsequences: false).map { trimmed($0).lowercased() }
        let (mediaType, version) =
            switch format {
            case .text: ("text/plain", "0.0.4")
            case .openMetrics: ("application/openmetrics-text", "1.0.0")
            }
        var found: [ExpositionProblem] = []
        if parts[0] != mediaType { found.append(problem("media type \(parts[0]) instead of \(mediaType)")) }
        var parameters: [String: String] = [:]
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, ExpositionLine.isName(String(pair[0])), !pair[1].isEmpty,
                parameters.updateValue(String(pair[1]), forKey: String(pair[0])) == nil
            else {
                found.append(problem("parameter \(part)"))
                continue
            }
        }
        if parameters["version"] != version { found.append(problem("version \(parameters["version"] ?? "missing")")) }
        if parameters["charset"] != "utf-8" { found.append(problem("charset \(parameters["charset"] ?? "missing")")) }
        return found
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var rest = text
        while rest.first == " " || rest.first == "\t" { rest.removeFirst() }
        while rest.last == " " || rest.last == "\t" { rest.removeLast() }
        return rest
    }
}
