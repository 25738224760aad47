internal import PrometheusClient

/// One series, or one histogram, that handlers update.
enum AdaptedChild: Sendable {
    case counter(ResettableCounter)
    case gauge(Gauge)
    case histogram(Histogram)
}

/// A registered family of any type.
enum AdaptedFamily: Sendable {
    case counter(OpenFamily<ResettableCounter>)
    case gauge(OpenFamily<Gauge>)
    case histogram(OpenFamily<Histogram>)

    var labelNames: [String] {
        switch self {
        case .counter(let family): family.labelNames
        case .gauge(let family): family.labelNames
        case .histogram(let family): family.labelNames
        }
    }

    var seriesPerChild: Int {
        switch self {
        case .counter(let family): family.seriesPerChild
        case .gauge(let family): family.seriesPerChild
        case .histogram(let family): family.seriesPerChild
        }
    }

    func add(_ labelValues: [String]) throws(MetricError) -> AdaptedChild {
        switch self {
        case .counter(let family): .counter(try family.add(labelValues))
        case .gauge(let family): .gauge(try family.add(labelValues))
        case .histogram(let family): .histogram(try family.add(labelValues))
        }
    }

    func remove(_ child: AdaptedChild) {
        switch (self, child) {
        case (.counter(let family), .counter(let child)): family.remove(child)
        case (.gauge(let family), .gauge(let child)): family.remove(child)
        case (.histogram(let family), .histogram(let child)): family.remove(child)
        default: preconditionFailure("a child of another type in a family")
        }
    }
}
