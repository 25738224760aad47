import HTTPServer
import HTTPTypes
import SandboxCore
import Testing

@testable import ControlAPI

@Suite struct ProblemTests {
    private static let table: [ErrorReason: Int] = [
        .invalidArgument: 400, .unauthenticated: 401, .notFound: 404, .routeNotFound: 404, .methodNotAllowed: 405,
        .staleEpoch: 409, .payloadTooLarge: 413, .unsupportedMediaType: 415, .headerTooLarge: 431, .userLimit: 429,
        .rateLimited: 429, .totalLimit: 503, .healthCheckTimedOut: 504, .healthCheckUnreachable: 502,
        .healthCheckUnhealthy: 502, .sandboxGone: 502, .connectTimedOut: 504, .createTimedOut: 504, .killTimedOut: 504,
        .execTimedOut: 504, .providerRejected: 502, .providerUnauthorized: 502, .providerProtocol: 502,
        .providerRateLimited: 503, .providerQuota: 503, .providerUnavailable: 503, .breakerOpen: 503,
        .storeUnavailable: 503, .draining: 503, .overloaded: 503, .releasing: 503, .creationInProgress: 503,
        .unsupported: 501, .internal: 500, .deadlineExceeded: 504,
        // Only callers of the Swift interface see it: a server that goes away.
        .cancelled: 503,
    ]

    @Test(arguments: ErrorReason.allCases)
    func `every reason has its status, and a time to come back where it helps`(reason: ErrorReason) throws {
        let response = Problem(reason, "words").response(requestID: "r1")
        let status = try #require(Self.table[reason])
        #expect(response.status == status)
        #expect(response.headers[.contentType] == "application/problem+json")
        #expect(response.headers[.cacheControl] == "no-store")
        let json = try Reply(response).object
        #expect(json["code"] as? String == reason.rawValue)
        #expect(json["status"] as? Int == status)
        #expect(json["detail"] as? String == "words")
        #expect(json["request_id"] as? String == "r1")
        #expect((json["title"] as? String)?.isEmpty == false)
        let isTemporary = status == 429 || status == 503
        #expect((response.headers[.retryAfter] != nil) == isTemporary)
        #expect((json["retry_after_seconds"] as? Int != nil) == isTemporary)
        #expect((response.headers[.wwwAuthenticate] == "Bearer") == (status == 401))
    }

    @Test(arguments: [
        (Duration.milliseconds(1), 1), (.seconds(1), 1), (.milliseconds(1001), 2), (.seconds(30), 30), (.zero, 1),
        (.seconds(-5), 1),
    ])
    func `Retry-After is whole seconds, rounded up, at least one`(wait: Duration, seconds: Int) throws {
        for error in [
            ManagerError.rateLimited(retryAfter: wait), .breakerOpen(retryAfter: wait), .releasing(retryAfter: wait),
            .creationInProgress(retryAfter: wait),
            .provider(ProviderError(.create, .rateLimited, "slow down", effect: .none, retryAfter: wait)),
        ] {
            let response = Problem(error).response(requestID: nil)
            #expect(response.headers[.retryAfter] == String(seconds))
            #expect(try Reply(response).object["retry_after_seconds"] as? Int == seconds)
        }
    }

    @Test func `a denial tells the limit and what is in use`() throws {
        let denial = LimitDenial(scope: .user, limit: 2, inUse: 3, releasing: 0, retryAfter: .seconds(4))
        let json = try Reply(Problem(.limited(denial)).response(requestID: nil)).object
        #expect(json["limit"] as? Int == 2)
        #expect(json["in_use"] as? Int == 3)
        #expect(json["retry_after_seconds"] as? Int == 4)
        #expect(json["request_id"] == nil)
    }

    @Test func `words from the provider cannot break the document`() throws {
        let detail = "\"}\n\u{0}\\é"
        let error = ManagerError.provider(ProviderError(.create, .malformed, detail, effect: .unknown))
        #expect(try Reply(Problem(error).response(requestID: nil)).object["detail"] as? String == detail)
    }

    @Test func `time limits are told in words`() {
        let told = Problem(.timedOut(operation: .healthCheck, after: .seconds(5))).detail
        #expect(told == "the health check took longer than 5 seconds")
        let short = Problem(.timedOut(operation: .exec, after: .milliseconds(250))).detail
        #expect(short == "the command took longer than 0.25 seconds")
    }
}
