import TestSupport
import Testing

@Suite struct ExpositionCheckerTests {
    private static let gauge = "# HELP g G.\n# TYPE g gauge\n"
    private static let counter = "# HELP c_total C.\n# TYPE c_total counter\n"
    private static let histogram = "# HELP h H.\n# TYPE h histogram\n"

    struct Case: CustomTestStringConvertible {
        let kind: ExpositionProblem.Kind
        let line: Int
        let page: String
        var testDescription: String { "\(kind) in line \(line)" }

        init(_ kind: ExpositionProblem.Kind, line: Int, _ page: String) {
            self.kind = kind
            self.line = line
            self.page = page
        }
    }

    private static let textFaults = [
        Case(.carriageReturn, line: 3, gauge + "g 1\r\n"),
        Case(.missingFinalNewline, line: 3, gauge + "g 1"),
        Case(.blankLine, line: 3, gauge + "\ng 1\n"),
        Case(.malformedLine, line: 3, gauge + "g{a=\"1\" 1\n"),
        Case(.malformedLine, line: 3, gauge + "g{} 1\n"),
        Case(.malformedLine, line: 3, gauge + "g{a=\"1\",} 1\n"),
        Case(.malformedLine, line: 3, gauge + "g\n"),
        Case(.malformedLine, line: 3, gauge + "g 1 # {trace=\"1\"} 1\n"),
        Case(.malformedLine, line: 3, gauge + "g 1 \n"),
        Case(.unexpectedComment, line: 3, gauge + "# a comment\ng 1\n"),
        Case(.unexpectedEndOfFile, line: 4, gauge + "g 1\n# EOF\n"),
        Case(.badMetricName, line: 3, gauge + "g-x 1\n"),
        Case(.badLabelName, line: 3, gauge + "g{1a=\"1\"} 1\n"),
        Case(.badLabelName, line: 3, gauge + "g{a:b=\"1\"} 1\n"),
        Case(.badLabelName, line: 3, gauge + "g{__a=\"1\"} 1\n"),
        Case(.duplicateLabel, line: 3, gauge + "g{a=\"1\",a=\"2\"} 1\n"),
        Case(.emptyLabelValue, line: 3, gauge + "g{a=\"\"} 1\n"),
        Case(.badEscape, line: 3, gauge + "g{a=\"\\t\"} 1\n"),
        Case(.badEscape, line: 1, "# HELP g G\\t.\n# TYPE g gauge\ng 1\n"),
        Case(.badEscape, line: 1, "# HELP g G\\\".\n# TYPE g gauge\ng 1\n"),
        Case(.badValue, line: 3, gauge + "g inf\n"),
        Case(.badValue, line: 3, gauge + "g nan\n"),
        Case(.badValue, line: 3, gauge + "g Inf\n"),
        Case(.badValue, line: 3, gauge + "g 0x1p3\n"),
        Case(.badValue, line: 3, gauge + "g  1\n"),
        Case(.timestamp, line: 3, gauge + "g 1 1700000000000\n"),
        Case(.missingHelp, line: 1, "# TYPE g gauge\ng 1\n"),
        Case(.missingHelp, line: 1, "# HELP g\n# TYPE g gauge\ng 1\n"),
        Case(.missingType, line: 1, "# HELP g G.\ng 1\n"),
        Case(.missingType, line: 4, gauge + "g 1\nh 1\n"),
        Case(.duplicateHelp, line: 2, "# HELP g G.\n# HELP g G.\n# TYPE g gauge\ng 1\n"),
        Case(.duplicateType, line: 3, gauge + "# TYPE g gauge\ng 1\n"),
        Case(.duplicateHelp, line: 7, gauge + "g 1\n# HELP h H.\n# TYPE h gauge\nh 1\n# HELP g G.\ng{a=\"1\"} 1\n"),
        Case(.misplacedHeader, line: 3, "# TYPE g gauge\ng 1\n# HELP g G.\n"),
        Case(.unknownType, line: 2, "# HELP g G.\n# TYPE g info\ng 1\n"),
        Case(.emptyFamily, line: 1, gauge),
        Case(.interleavedFamily, line: 7, gauge + "g{a=\"1\"} 1\n# HELP h H.\n# TYPE h gauge\nh 1\ng{a=\"2\"} 1\n"),
        Case(.unsortedFamilies, line: 4, "# HELP h H.\n# TYPE h gauge\nh 1\n" + gauge + "g 1\n"),
        Case(.duplicateSeries, line: 4, gauge + "g{a=\"1\"} 1\ng{a=\"1\"} 1\n"),
        Case(.duplicateSeries, line: 4, gauge + "g{a=\"1\",b=\"2\"} 1\ng{b=\"2\",a=\"1\"} 1\n"),
        Case(.unsortedSeries, line: 4, gauge + "g{a=\"2\"} 1\ng{a=\"1\"} 1\n"),
        Case(.differingLabelNames, line: 4, gauge + "g{a=\"1\"} 1\ng{b=\"1\"} 1\n"),
        Case(.counterName, line: 1, "# HELP c C.\n# TYPE c counter\nc 1\n"),
        Case(.counterValue, line: 3, counter + "c_total -1\n"),
        Case(.counterValue, line: 3, counter + "c_total NaN\n"),
        Case(.counterValue, line: 3, counter + "c_total +Inf\n"),
        Case(.createdSample, line: 5, histogram + "h_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_created 1\nh_count 0\n"),
        Case(.reservedSuffix, line: 1, "# HELP g_total G.\n# TYPE g_total gauge\ng_total 1\n"),
        Case(.reservedSuffix, line: 1, "# HELP g_count G.\n# TYPE g_count gauge\ng_count 1\n"),
        Case(.bucketWithoutBound, line: 3, histogram + "h_bucket 0\nh_sum 0\nh_count 0\n"),
        Case(.bucketBoundSpelling, line: 3, histogram + "h_bucket{le=\"1\"} 0\nh_bucket{le=\"+Inf\"} 0\n"),
        Case(.bucketsNotAscending, line: 4, histogram + "h_bucket{le=\"2.0\"} 0\nh_bucket{le=\"1.0\"} 0\n"),
        Case(.bucketsNotAscending, line: 4, histogram + "h_bucket{le=\"+Inf\"} 0\nh_bucket{le=\"1.0\"} 0\n"),
        Case(.bucketsNotCumulative, line: 4, histogram + "h_bucket{le=\"1.0\"} 2\nh_bucket{le=\"+Inf\"} 1\n"),
        Case(.bucketValue, line: 3, histogram + "h_bucket{le=\"+Inf\"} 0.5\nh_sum 0\nh_count 0.5\n"),
        Case(.bucketValue, line: 3, histogram + "h_bucket{le=\"+Inf\"} -1\nh_sum 0\nh_count -1\n"),
        Case(.missingInfinityBucket, line: 3, histogram + "h_bucket{le=\"1.0\"} 1\nh_sum 1\nh_count 1\n"),
        Case(.missingSum, line: 3, histogram + "h_bucket{le=\"+Inf\"} 1\nh_count 1\n"),
        Case(.missingCount, line: 3, histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\n"),
        Case(.countMismatch, line: 5, histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n"),
        Case(.badSum, line: 4, histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum NaN\nh_count 1\n"),
        Case(
            .differingBuckets,
            line: 7,
            histogram + "h_bucket{a=\"1\",le=\"1.0\"} 0\nh_bucket{a=\"1\",le=\"+Inf\"} 0\nh_sum{a=\"1\"} 0\n"
                + "h_count{a=\"1\"} 0\nh_bucket{a=\"2\",le=\"+Inf\"} 0\nh_sum{a=\"2\"} 0\nh_count{a=\"2\"} 0\n"
        ),
    ]

    @Test(arguments: textFaults)
    func `a fault in the text format is found in its line`(example: Case) {
        let problems = ExpositionChecker.problems(in: example.page, format: .text)
        #expect(problems.contains { $0.kind == example.kind && $0.line == example.line }, "\(problems)")
    }

    private static let openMetricsFaults = [
        Case(.missingEndOfFile, line: 3, gauge + "g 1\n"),
        Case(.unexpectedEndOfFile, line: 5, gauge + "g 1\n# EOF\n# EOF\n"),
        Case(.unexpectedEndOfFile, line: 2, "# EOF\n" + gauge + "g 1\n"),
        Case(.blankLine, line: 5, gauge + "g 1\n# EOF\n\n"),
        Case(.missingFinalNewline, line: 4, gauge + "g 1\n# EOF"),
        Case(.counterName, line: 1, counter + "c_total 1\n# EOF\n"),
        Case(.counterName, line: 3, "# HELP c C.\n# TYPE c counter\nc 1\n# EOF\n"),
        Case(.createdSample, line: 4, "# HELP c C.\n# TYPE c counter\nc_total 1\nc_created 1\n# EOF\n"),
        Case(.badEscape, line: 1, "# HELP g \"G\".\n# TYPE g gauge\ng 1\n# EOF\n"),
    ]

    @Test(arguments: openMetricsFaults)
    func `a fault in OpenMetrics is found in its line`(example: Case) {
        let problems = ExpositionChecker.problems(in: example.page, format: .openMetrics)
        #expect(problems.contains { $0.kind == example.kind && $0.line == example.line }, "\(problems)")
    }

    @Test func `every kind of problem has a page that shows it`() {
        let shown = Set((Self.textFaults + Self.openMetricsFaults).map(\.kind)).union([.notUTF8, .contentType])
        #expect(shown == Set(ExpositionProblem.Kind.allCases))
    }

    @Test func `bytes that are not UTF-8 are found`() {
        let page = Array((Self.gauge + "g{a=\"").utf8) + [0xff] + Array("\"} 1\n".utf8)
        let problems = ExpositionChecker.problems(in: page, format: .text)
        #expect(problems.map(\.kind) == [.notUTF8])
        #expect(problems.map(\.line) == [3])
    }

    @Test func `an empty page has no final newline`() {
        #expect(ExpositionChecker.problems(in: "", format: .openMetrics).map(\.kind).contains(.missingEndOfFile))
    }

    @Test func `a right page has no problems`() {
        let samples =
            "h_bucket{a=\"}\\\\\",le=\"1.0\"} 1\nh_bucket{a=\"}\\\\\",le=\"+Inf\"} 2\n"
            + "h_sum{a=\"}\\\\\"} 1e+20\nh_count{a=\"}\\\\\"} 2\n"
        #expect(
            ExpositionChecker.problems(
                in: Self.counter + "c_total 1\n" + Self.gauge + "g NaN\n"
                    + Self.histogram + samples,
                format: .text
            ) == []
        )
        #expect(
            ExpositionChecker.problems(
                in: "# HELP c C.\n# TYPE c counter\nc_total 1\n" + Self.gauge
                    + "g -Inf\n" + Self.histogram + samples + "# EOF\n",
                format: .openMetrics
            ) == []
        )
    }

    @Test(arguments: ["\u{301}", "\u{fe0f}", "\u{200d}x", " two spaces", "\"quoted\"", "\r\u{301}."])
    func `a help text may begin with anything`(help: String) {
        let page = "# HELP g \(help)\n# TYPE g gauge\ng 1\n"
        #expect(ExpositionChecker.problems(in: page, format: .text) == [])
        #expect(Exposition.parse(page).helps["g"]?.utf8.elementsEqual(help.utf8) == true)
    }

    @Test(arguments: [
        nil, "", "text/plain", "text/plain; version=0.0.4", "text/plain; version=1.0.0; charset=utf-8",
        "text/plain; version=0.0.4; charset=latin1", "text/html; version=0.0.4; charset=utf-8",
        "application/openmetrics-text; version=1.0.0; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8;",
        "text/plain; version = 0.0.4; charset=utf-8", "text/plain, version=0.0.4; charset=utf-8",
        "text/plain; version=0.0.4; version=0.0.4; charset=utf-8",
    ])
    func `a wrong content type is found`(header: String?) {
        let problems = ExpositionChecker.problems(inContentType: header, format: .text)
        #expect(problems.allSatisfy { $0.kind == .contentType && $0.line == 0 })
        #expect(!problems.isEmpty)
    }
}

@Suite struct ExpositionReadingTests {
    private let page = Exposition.parse(
        """
        # HELP c_total C.
        # TYPE c_total counter
        c_total{a="1",b="x"} 1
        c_total{a="2",b="x"} 2
        # HELP g G.
        # TYPE g gauge
        g 5
        # HELP h H.
        # TYPE h histogram
        h_bucket{le="+Inf"} 3
        h_sum 7.5
        h_count 3

        """
    )

    @Test func `values are found by name and labels in any order`() {
        #expect(page.value(of: "c_total", ["b": "x", "a": "2"]) == 2)
        #expect(page.value(of: "c_total", ["a": "2"]) == nil)
        #expect(page.value(of: "g") == 5)
        #expect(page.sum(of: "c_total", where: ["b": "x"]) == 3)
        #expect(page.sum(of: "c_total", where: ["b": "y"]) == 0)
        #expect(page.types == ["c_total": "counter", "g": "gauge", "h": "histogram"])
    }

    @Test func `counters that fell and series that vanished are told`() {
        let current = Exposition.parse(
            """
            # TYPE c counter
            c_total{a="1",b="x"} 0
            # TYPE g gauge
            g 1
            # TYPE h histogram
            h_bucket{le="+Inf"} 2
            h_sum 7.25
            h_count NaN
            # EOF

            """
        )
        #expect(
            Exposition.compare(previous: page, current: current) == [
                #"c_total{a="1",b="x"} fell from 1.0 to 0.0"#,
                #"c_total{a="2",b="x"} vanished"#,
                #"h_bucket{le="+Inf"} fell from 3.0 to 2.0"#,
                "h_sum{} fell from 7.5 to 7.25",
                "h_count{} fell from 3.0 to nan",
            ]
        )
        #expect(Exposition.compare(previous: page, current: page) == [])
    }
}
