import PrometheusClient
import TestSupport
import Testing

@Suite struct ExpositionFormatTests {
    @Test(
        arguments: [
            (nil, .text),
            ("", .text),
            (",, ,", .text),
            ("text/plain", .text),
            ("application/openmetrics-text", .openMetrics),
            // What Prometheus 2.42 and 3 send.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                    + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                .openMetrics
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                    + "application/openmetrics-text;version=0.0.1;q=0.5,"
                    + "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                .openMetrics
            ),
            // Quality decides.
            ("application/openmetrics-text;q=0.4, text/plain;q=0.5", .text),
            ("application/openmetrics-text;q=0.5, text/plain;q=0.4", .openMetrics),
            ("text/plain;q=0.5,application/openmetrics-text;version=0.0.1;q=0.75", .openMetrics),
            ("application/openmetrics-text;q=0", .text),
            ("application/openmetrics-text;q=0.000, */*", .text),
            ("text/plain;q=0, */*;q=0.1", .openMetrics),
            ("text/plain;q=0", .text),
            // The most specific range decides a format's quality, not the kindest.
            ("*/*, application/openmetrics-text;q=0.1", .text),
            ("application/openmetrics-text, application/openmetrics-text;version=1.0.0;q=0.1, text/plain;q=0.5", .text),
            // Ties: the more specific, then the first.
            ("application/openmetrics-text, */*", .openMetrics),
            ("*/*, text/*", .text),
            ("*/*, application/*", .openMetrics),
            ("text/plain, application/openmetrics-text", .text),
            ("application/openmetrics-text, text/plain", .openMetrics),
            ("*/*", .text),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", .text),
            // Wildcards.
            ("application/*", .openMetrics),
            ("text/*", .text),
            ("*/plain", .text),
            ("*/openmetrics-text", .text),
            ("*", .text),
            // Case and white space.
            ("APPLICATION/OpenMetrics-Text; Version=1.0.0; Q=0.9 , TEXT/PLAIN ; q=0.8", .openMetrics),
            ("\t application/openmetrics-text\t;\tversion=1.0.0 ;\tq=1.000\t,text/plain;q=0.1", .openMetrics),
            (#"application/openmetrics-text; version="1.0.0", text/plain;q=0.5"#, .openMetrics),
            (#"application/json; title="a, application/openmetrics-text", text/plain;q=0.1"#, .text),
            (#"application/openmetrics-text; a="b\"c,d;e"; version=1.0.0"#, .openMetrics),
            // Versions and character sets that are not sent.
            ("application/openmetrics-text;version=0.0.1", .openMetrics),
            ("application/openmetrics-text;version=2.0.0", .text),
            ("application/openmetrics-text;version=", .text),
            ("application/openmetrics-text;charset=utf-8", .openMetrics),
            ("application/openmetrics-text;charset=iso-8859-1", .text),
            ("application/openmetrics-text;version=1.0.0;escaping=underscores", .openMetrics),
            // A malformed quality says nothing to rely on.
            ("application/openmetrics-text;q=high", .text),
            ("application/openmetrics-text;q=", .text),
            ("application/openmetrics-text;q=2", .text),
            ("application/openmetrics-text;q=1.001", .text),
            ("application/openmetrics-text;q=-1", .text),
            ("application/openmetrics-text;q=0.5000", .text),
            ("application/openmetrics-text;q=nan", .text),
            ("application/openmetrics-text;q=0x1", .text),
            ("application/openmetrics-text;q=1.", .openMetrics),
            ("application/openmetrics-text;q=1;version=9", .openMetrics),
            // Not media ranges.
            ("application/openmetrics-text/x", .text),
            ("openmetrics-text", .text),
            ("/", .text),
            (";q=1", .text),
            ("application/open metrics-text", .text),
            ("application/json", .text),
        ] as [(String?, ExpositionFormat)]
    )
    func `a format is negotiated`(header: String?, expected: ExpositionFormat) {
        #expect(ExpositionFormat.negotiate(acceptHeader: header) == expected)
    }

    @Test(arguments: ExpositionFormat.allCases)
    func `the content type is one that Prometheus 3 takes`(format: ExpositionFormat) {
        #expect(ExpositionChecker.problems(inContentType: format.contentType, format: format.checked) == [])
    }
}
