/// One thing that is wrong with a page of metrics.
public struct ExpositionProblem: Hashable, Sendable, CustomStringConvertible {
    /// What kind of thing is wrong.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        // The bytes and lines.
        case notUTF8, carriageReturn, missingFinalNewline, blankLine, malformedLine, unexpectedComment
        case missingEndOfFile, unexpectedEndOfFile
        // One sample.
        case badMetricName, badLabelName, duplicateLabel, emptyLabelValue, badEscape, badValue, timestamp
        // A family's header and place.
        case missingHelp, missingType, duplicateHelp, duplicateType, misplacedHeader, unknownType, emptyFamily
        case interleavedFamily, unsortedFamilies
        // A family's series.
        case duplicateSeries, unsortedSeries, differingLabelNames
        // Types.
        case counterName, counterValue, createdSample, reservedSuffix
        case bucketWithoutBound, bucketBoundSpelling, bucketsNotAscending, bucketsNotCumulative, bucketValue
        case missingInfinityBucket, missingSum, missingCount, countMismatch, badSum, differingBuckets
        // The header beside the page.
        case contentType
    }

    /// The line it was found in, from 1; the family's first for what concerns a family; 0 for the Content-Type.
    public let line: Int
    /// What kind of thing is wrong.
    public let kind: Kind
    /// The name, label or value concerned.
    public let detail: String

    /// The problem in one line.
    public var description: String { "line \(line): \(kind.rawValue): \(detail)" }
}
