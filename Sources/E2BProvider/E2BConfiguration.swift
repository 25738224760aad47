public import CurlTransport
public import SandboxCore

/// Which E2B account is used, and how it is reached.
public struct E2BConfiguration: Sendable {
    /// Versions of the create and connect calls.
    public enum APIVersion: String, Sendable, CaseIterable, Hashable {
        /// `POST /sandboxes`.
        case v1
        /// `POST /v2/sandboxes`; creates carry their token as `Idempotency-Key`.
        case v2
    }

    /// The account's key; `e2b_` and hex digits.
    public var apiKey: Secret
    /// The domain from which both addresses are derived. Default: `e2b.app`.
    public var domain = "e2b.app"
    /// Base URL of the control plane; `nil`, the default, for `https://api.<domain>`.
    public var apiURL: String?
    /// One base URL for the agents of all sandboxes, which are then told apart by headers alone, such as
    /// `https://sandbox.e2b.app`; `nil`, the default, for an address per sandbox, `https://49983-<id>.<domain>`.
    public var sandboxURL: String?
    /// Which create and connect calls are used. Default: v1, which the open-source server knows.
    public var apiVersion = APIVersion.v1
    /// The longest life that the account's plan grants a sandbox from its start or last resume; at least 1 s. Default:
    /// 1 h, the smallest plan's. The API refuses longer creates and clamps longer extensions without a word.
    public var maxSession: Duration = .seconds(3600)
    /// The most pages of 100 sandboxes that one listing may have; at least 1. More is an error, not a short answer.
    public var maxPages = 100
    /// The most bytes that the reply of one command may have, base64 and framing included. Default: 16 MiB.
    public var maxExecReplyBytes = 16 << 20
    /// How connections are made. Beyond the transport's defaults 64 connections a host and 256 in all: without HTTP/2
    /// a create that takes a minute holds one, and must not keep probes and kills waiting.
    public var transport: CurlConfiguration = {
        var transport = CurlConfiguration()
        transport.maxConnectionsPerHost = 64
        transport.maxTotalConnections = 256
        return transport
    }()

    /// The defaults, for the account of a key.
    public init(apiKey: Secret) { self.apiKey = apiKey }
}
