extension MetricRegistry {
    func single<Child: Instrument>(
        _ name: String,
        type: MetricType,
        help: String,
        bounds: [Double] = [],
        makeChild: () -> Child
    ) throws(MetricError) -> Child {
        let children = try register(
            name,
            type: type,
            help: help,
            labelNames: [],
            rows: [[]],
            bounds: bounds,
            makeChild: makeChild
        )
        return children[0]
    }

    func labeled<Label, Child: Instrument>(
        _ name: String,
        type: MetricType,
        help: String,
        bounds: [Double] = [],
        makeChild: () -> Child
    ) throws(MetricError) -> LabeledMetric<Label, Child> {
        let index = LabelIndex<Label>()
        let children = try register(
            name,
            type: type,
            help: help,
            labelNames: [Label.labelName],
            rows: index.cases.map { [$0.labelValue] },
            bounds: bounds,
            makeChild: makeChild
        )
        return LabeledMetric(index: index, children: children, sink: makeChild(), rejected: rejected)
    }

    func labeled2<First, Second, Child: Instrument>(
        _ name: String,
        type: MetricType,
        help: String,
        pairs: [(First, Second)]?,
        fallback: (First, Second)?,
        makeChild: () -> Child
    ) throws(MetricError) -> LabeledMetric2<First, Second, Child> {
        let firstIndex = LabelIndex<First>()
        let secondIndex = LabelIndex<Second>()
        let width = secondIndex.cases.count
        func position(of pair: (First, Second)) -> Int? {
            guard let row = firstIndex.position(of: pair.0), let column = secondIndex.position(of: pair.1) else {
                return nil
            }
            return row * width + column
        }
        let pairs = pairs ?? firstIndex.cases.flatMap { first in secondIndex.cases.map { (first, $0) } }
        if let fallback {
            guard pairs.contains(where: { $0 == fallback }) else { throw .unknownFallback(name: name) }
        }
        let rowChildren = try register(
            name,
            type: type,
            help: help,
            labelNames: [First.labelName, Second.labelName],
            rows: pairs.map { [$0.labelValue, $1.labelValue] },
            makeChild: makeChild
        )
        var children = [Child?](repeating: nil, count: firstIndex.cases.count * width)
        for (pair, child) in zip(pairs, rowChildren) {
            if let position = position(of: pair) { children[position] = child }
        }
        return LabeledMetric2(
            firstIndex: firstIndex,
            secondIndex: secondIndex,
            children: children,
            fallback: fallback.flatMap(position).flatMap { children[$0] },
            sink: makeChild(),
            rejected: rejected
        )
    }

    func table<Child: Instrument>(
        _ name: String,
        type: MetricType,
        help: String,
        labelNames: [String],
        rows: [[String]],
        makeChild: () -> Child
    ) throws(MetricError) -> MetricTable<Child> {
        let children = try register(
            name,
            type: type,
            help: help,
            labelNames: labelNames,
            rows: rows,
            makeChild: makeChild
        )
        return MetricTable(rows: rows, children: children, sink: makeChild(), rejected: rejected)
    }
}
