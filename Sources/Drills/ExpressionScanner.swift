/// Takes a PromQL expression apart into what scaling changes and the rest; nothing in a string or a comment is touched.
struct ExpressionScanner {
    enum Part: Equatable {
        case other(String)
        /// A range selector or subquery, with its brackets.
        case range(String)
        /// The word `offset` and a duration.
        case offset(String)
        /// A number that the comment `# seconds` follows; the comment is not part of it.
        case seconds(String)
    }

    private let text: String
    private var index: String.Index
    private var parts: [Part] = []
    private var other = ""

    static func parts(of expression: String) -> [Part] {
        var scanner = ExpressionScanner(text: expression, index: expression.startIndex)
        while scanner.index < expression.endIndex { scanner.step() }
        scanner.flush()
        return scanner.parts
    }

    private mutating func step() {
        let character = text[index]
        if character == "\"" || character == "'" || character == "`" {
            keep(upTo: endOfString(quote: character))
        } else if character == "#" {
            keep(upTo: text[index...].firstIndex(of: "\n") ?? text.endIndex)
        } else if character == "[", let end = endOfRange() {
            add(upTo: end) { .range($0) }
        } else if character.isWordPart {
            let word = text[index...].prefix(while: \.isWordPart)
            if word == "offset", let end = endOfOffset(after: word.endIndex) {
                add(upTo: end) { .offset($0) }
            } else if Self.isNumber(word), isTagged(word.endIndex) {
                add(upTo: word.endIndex) { .seconds($0) }
            } else {
                keep(upTo: word.endIndex)
            }
        } else {
            keep(upTo: text.index(after: index))
        }
    }

    private mutating func keep(upTo end: String.Index) {
        other += text[index..<end]
        index = end
    }

    private mutating func add(upTo end: String.Index, _ part: (String) -> Part) {
        flush()
        parts.append(part(String(text[index..<end])))
        index = end
    }

    private mutating func flush() {
        if !other.isEmpty { parts.append(.other(other)) }
        other = ""
    }

    private func endOfString(quote: Character) -> String.Index {
        var at = text.index(after: index)
        while at < text.endIndex, text[at] != quote {
            let isEscape = text[at] == "\\" && quote != "`"
            at = text.index(at, offsetBy: isEscape ? 2 : 1, limitedBy: text.endIndex) ?? text.endIndex
        }
        return at < text.endIndex ? text.index(after: at) : at
    }

    /// Behind `[5m]`, `[1h:]` or `[1h:5m]`.
    private func endOfRange() -> String.Index? {
        guard let close = text[index...].firstIndex(of: "]") else { return nil }
        let inside = text[text.index(after: index)..<close]
        let pieces = inside.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            .map { String($0.filter { !$0.isWhitespace }) }
        guard PrometheusDuration(pieces[0]) != nil else { return nil }
        if pieces.count > 1, !pieces[1].isEmpty, PrometheusDuration(pieces[1]) == nil { return nil }
        return text.index(after: close)
    }

    private func endOfOffset(after word: String.Index) -> String.Index? {
        var rest = text[word...]
        guard rest.first?.isWhitespace == true else { return nil }
        rest = rest.drop(while: \.isWhitespace)
        if rest.first == "-" { rest = rest.dropFirst().drop(while: \.isWhitespace) }
        return PrometheusDuration.at(rest.startIndex, in: text)?.range.upperBound
    }

    private static func isNumber(_ word: Substring) -> Bool {
        let pieces = word.split(separator: ".", omittingEmptySubsequences: false)
        return pieces.count <= 2 && pieces.allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isDigit) }
    }

    private func isTagged(_ end: String.Index) -> Bool {
        let rest = text[end...].drop { $0 == " " || $0 == "\t" }
        guard rest.first == "#" else { return false }
        let comment = rest.dropFirst().drop { $0 == " " || $0 == "\t" }
        return comment.hasPrefix("seconds") && comment.dropFirst(7).first?.isWordPart != true
    }

    private init(text: String, index: String.Index) {
        self.text = text
        self.index = index
    }
}

extension Character {
    /// Part of a name or number.
    fileprivate var isWordPart: Bool { isLetter || isNumber || self == "_" || self == "." || self == ":" }
}
