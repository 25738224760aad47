/// One family of a page being checked: its header and its samples.
struct CheckedFamily {
    struct Line {
        let number: Int
        let sample: ExpositionLine.ParsedSample

        var labelsWithoutBound: [(name: String, value: String)] { sample.labels.filter { $0.name != "le" } }
        /// The label values as bytes, which is how series are told apart and sorted.
        var key: [[UInt8]] { labelsWithoutBound.map { Array($0.value.utf8) } }
    }

    let name: String
    let firstLine: Int
    var hasHelp = false
    var type: String?
    var samples: [Line] = []

    init(name: String, firstLine: Int) {
        self.name = name
        self.firstLine = firstLine
    }

    func accepts(_ sampleName: String, format: ExpositionChecker.Format) -> Bool {
        switch (type, format) {
        case ("counter", .openMetrics): sampleName == name + "_total"
        case ("histogram", _): ["_bucket", "_sum", "_count"].contains { sampleName == name + $0 }
        default: sampleName == name
        }
    }

    /// Everything that can be said once the family is complete.
    func problems(format: ExpositionChecker.Format) -> [ExpositionProblem] {
        var found: [ExpositionProblem] = []
        func report(_ kind: ExpositionProblem.Kind, line: Int? = nil, _ detail: String) {
            found.append(ExpositionProblem(line: line ?? firstLine, kind: kind, detail: detail))
        }
        if !hasHelp { report(.missingHelp, name) }
        if type == nil { report(.missingType, name) }
        if samples.isEmpty { report(.emptyFamily, name) }
        if type == "counter", name.hasSuffix("_total") != (format == .text) {
            report(.counterName, "\(name) in \(format)")
        }
        if type != "counter", name.hasSuffix("_total") { report(.reservedSuffix, name) }
        if let suffix = ["_bucket", "_sum", "_count"].first(where: name.hasSuffix), type != "histogram" {
            report(.reservedSuffix, "\(name) ends in \(suffix)")
        }
        for line in samples where type == "counter" {
            guard let value = line.sample.value, value >= 0, value.isFinite else {
                report(.counterValue, line: line.number, line.sample.name)
                continue
            }
        }
        return found + seriesProblems() + (type == "histogram" ? HistogramCheck(family: self).problems() : [])
    }

    private func seriesProblems() -> [ExpositionProblem] {
        var found: [ExpositionProblem] = []
        for (previous, line) in zip(samples, samples.dropFirst()) {
            if line.labelsWithoutBound.map(\.name) != previous.labelsWithoutBound.map(\.name) {
                found.append(
                    ExpositionProblem(line: line.number, kind: .differingLabelNames, detail: line.sample.name)
                )
            } else if line.key.lexicographicallyPrecedes(previous.key, by: { $0.lexicographicallyPrecedes($1) }) {
                found.append(ExpositionProblem(line: line.number, kind: .unsortedSeries, detail: line.sample.name))
            }
        }
        return found
    }
}

/// The rules for one histogram family: for each set of labels the buckets, then `_sum`, then `_count`.
private struct HistogramCheck {
    let family: CheckedFamily
    private var found: [ExpositionProblem] = []

    init(family: CheckedFamily) {
        self.family = family
    }

    private mutating func report(_ kind: ExpositionProblem.Kind, line: Int, _ detail: String) {
        found.append(ExpositionProblem(line: line, kind: kind, detail: detail))
    }

    func problems() -> [ExpositionProblem] {
        var check = self
        check.run()
        return check.found
    }

    private mutating func run() {
        var groups: [[CheckedFamily.Line]] = []
        for line in family.samples {
            if let last = groups.last?.last, last.key == line.key {
                groups[groups.count - 1].append(line)
            } else {
                groups.append([line])
            }
        }
        var expectedBounds: [Double]?
        for group in groups {
            let bounds = checkBuckets(of: group)
            if let expectedBounds, expectedBounds != bounds {
                report(.differingBuckets, line: group[0].number, family.name)
            }
            expectedBounds = expectedBounds ?? bounds
            checkTotals(of: group)
        }
    }

    private func buckets(of group: [CheckedFamily.Line]) -> [CheckedFamily.Line] {
        group.filter { $0.sample.name == family.name + "_bucket" }
    }

    /// The bounds in the order of the page.
    private mutating func checkBuckets(of group: [CheckedFamily.Line]) -> [Double] {
        var bounds: [Double] = []
        var lastCount = 0.0
        for line in buckets(of: group) {
            guard let text = line.sample.labels.first(where: { $0.name == "le" })?.value,
                let bound = ExpositionLine.number(text)
            else {
                report(.bucketWithoutBound, line: line.number, family.name)
                continue
            }
            if bound.isFinite, !text.contains("."), !text.contains("e") {
                report(.bucketBoundSpelling, line: line.number, text)
            }
            if let last = bounds.last, !(bound > last) { report(.bucketsNotAscending, line: line.number, text) }
            bounds.append(bound)
            let count = line.sample.value ?? .nan
            if !(count >= 0) || count.isInfinite || count.rounded() != count {
                report(.bucketValue, line: line.number, "\(count)")
            } else {
                if count < lastCount { report(.bucketsNotCumulative, line: line.number, "\(count) < \(lastCount)") }
                lastCount = count
            }
        }
        return bounds
    }

    private mutating func checkTotals(of group: [CheckedFamily.Line]) {
        let firstLine = group[0].number
        let infinity = buckets(of: group).last {
            $0.sample.labels.contains { $0 == (name: "le", value: "+Inf") }
        }
        let sum = group.last { $0.sample.name == family.name + "_sum" }
        let count = group.last { $0.sample.name == family.name + "_count" }
        if infinity == nil { report(.missingInfinityBucket, line: firstLine, family.name) }
        if let sum {
            if !((sum.sample.value ?? .nan) >= 0) { report(.badSum, line: sum.number, family.name) }
        } else {
            report(.missingSum, line: firstLine, family.name)
        }
        guard let count else {
            report(.missingCount, line: firstLine, family.name)
            return
        }
        if let infinity, infinity.sample.value != count.sample.value {
            report(.countMismatch, line: count.number, family.name)
        }
    }
}
