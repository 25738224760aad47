/// What a metric of swift-metrics is; timers and recorders both become histograms.
enum MetricKind {
    case counter, gauge, recorder, timer
}

/// The name that a swift-metrics label gets, in two parts.
struct MetricName {
    /// Labels are arbitrary text, and so arbitrarily long.
    private static let maximumLength = 180

    private let base: String
    private let kind: MetricKind

    init(prefix: String, label: String, kind: MetricKind) {
        self.kind = kind
        var base = Self.identifier(prefix + label, maximumLength: Self.maximumLength)
        let ending = Self.ending(of: kind)
        if !ending.isEmpty, base.hasSuffix(ending), base.utf8.count > ending.utf8.count {
            base.removeLast(ending.utf8.count)
        }
        // Readers take these endings for samples of a type that this is not.
        let isReserved = ["_bucket", "_sum", "_count", "_total"].contains(where: base.hasSuffix)
        self.base = isReserved ? base + "s" : base
    }

    /// The name it should have.
    var wanted: String { base + Self.ending(of: kind) }

    /// The name it gets if a metric of another type has the wanted one.
    var substitute: String {
        switch kind {
        case .counter: base + "_counter" + Self.ending(of: kind)
        case .gauge: base + "_gauge"
        case .recorder, .timer: base + "_histogram" + Self.ending(of: kind)
        }
    }

    private static func ending(of kind: MetricKind) -> String {
        switch kind {
        case .counter: "_total"
        case .timer: "_seconds"
        case .gauge, .recorder: ""
        }
    }

    /// Letters, digits and `_`, not beginning with a digit; `_` stands for each scalar that is none of these.
    static func identifier(_ text: String, maximumLength: Int) -> String {
        guard let first = text.unicodeScalars.first else { return "unnamed" }
        let head = ("0"..."9").contains(first) ? "_" : ""
        let rest = text.unicodeScalars.prefix(maximumLength).map { scalar -> Character in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9": Character(scalar)
            default: "_"
            }
        }
        return head + String(rest)
    }
}
