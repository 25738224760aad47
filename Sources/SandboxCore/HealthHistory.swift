/// What is to be done with a lease after a probe.
enum HealthDecision: Equatable {
    /// Hand it out.
    case alive
    /// The control plane says that it does not exist: forget it.
    case gone
    /// It is paused: connect.
    case resume
    /// It has been ill for long enough: replace it.
    case replace
    /// Nobody knows: keep the lease, report the error (I8).
    case keep(ManagerError)
    /// It has been silent for so long that the control plane should be asked; until then as `keep`.
    case doubt(ManagerError)
}

/// What the last probes of one sandbox said. One failed probe destroys nothing (I8, K3).
struct HealthHistory {
    /// Sick verdicts in a row after which a sandbox is replaced, if they span ``sickSpan``.
    static let sickCount = 3
    /// The time that those verdicts must span.
    static let sickSpan: Duration = .seconds(10)
    /// How long a new or resumed sandbox may look ill because the edge does not know it yet.
    static let edgeLag: Duration = .seconds(5)

    /// How long probes may go unanswered before the sandbox itself is doubted.
    static let silence: Duration = .seconds(60)

    /// What the last probe said, and when; `nil` before the first.
    private(set) var last: (verdict: HealthResult, at: MonotonicInstant)?
    /// A sandbox that is well, as nearly all are, takes no room for this.
    private var illness = Illness.none

    private indirect enum Illness {
        case none
        case since(Symptoms)
    }

    private struct Symptoms {
        var consecutiveSick = 0
        var consecutiveSilent = 0
        var firstSilent: MonotonicInstant?
        var firstSick: MonotonicInstant?
    }

    private var symptoms: Symptoms {
        get { if case .since(let symptoms) = illness { symptoms } else { Symptoms() } }
        set { illness = .since(newValue) }
    }

    /// Sick verdicts in a row.
    var consecutiveSick: Int { symptoms.consecutiveSick }
    /// Probes without an answer in a row.
    var consecutiveSilent: Int { symptoms.consecutiveSilent }

    /// Takes a verdict in.
    mutating func record(_ verdict: HealthVerdict, now: MonotonicInstant, runningSince: MonotonicInstant)
        -> HealthDecision
    {
        if verdict == .alive { self = HealthHistory() }
        last = (verdict.result, now)
        switch verdict {
        case .alive:
            return .alive
        case .gone:
            return .gone
        case .paused:
            return .resume
        case .unhealthy(let detail):
            return sick(detail, now: now, runningSince: runningSince)
        case .timedOut(let limit):
            let first = symptoms.firstSilent ?? now
            symptoms.firstSilent = first
            symptoms.consecutiveSilent += 1
            let error = ManagerError.timedOut(operation: .healthCheck, after: limit)
            // Two probes with an idle hour in between are no silence of an hour.
            let isLasting = consecutiveSilent >= Self.sickCount && now - first >= Self.silence
            return isLasting ? .doubt(error) : .keep(error)
        case .unreachable(let detail):
            return .keep(.unreachable(detail))
        case .unauthorized:
            breakSilence()
            return .keep(.provider(ProviderError(.health, .http(status: 401), "credentials refused", effect: .none)))
        case .malformed(let detail):
            breakSilence()
            return .keep(.provider(ProviderError(.health, .malformed, detail, effect: .none)))
        case .cancelled:
            return .keep(.unreachable("the probe was cancelled"))
        }
    }

    /// It answered, though not well.
    private mutating func breakSilence() {
        guard consecutiveSilent > 0 else { return }
        symptoms.consecutiveSilent = 0
        symptoms.firstSilent = nil
    }

    private mutating func sick(
        _ detail: String,
        now: MonotonicInstant,
        runningSince: MonotonicInstant
    ) -> HealthDecision {
        breakSilence()
        guard now - runningSince >= Self.edgeLag else { return .keep(.unhealthy(detail)) }
        let first = symptoms.firstSick ?? now
        symptoms.firstSick = first
        symptoms.consecutiveSick += 1
        let isLasting = consecutiveSick >= Self.sickCount && now - first >= Self.sickSpan
        return isLasting ? .replace : .keep(.unhealthy(detail))
    }
}

extension HealthVerdict {
    /// The metric label of this verdict.
    public var result: HealthResult {
        switch self {
        case .alive: .ok
        case .timedOut: .timedOut
        case .unreachable: .unreachable
        case .unhealthy: .unhealthy
        case .gone: .gone
        case .paused: .paused
        case .unauthorized: .unauthorized
        case .malformed: .malformed
        case .cancelled: .cancelled
        }
    }

    /// The result of the provider call behind this verdict; any answer of the sandbox is `ok`.
    var providerResult: ProviderResult {
        switch self {
        case .alive, .gone, .paused: .ok
        case .timedOut: .timedOut
        case .unreachable: .refused
        case .unhealthy: .http5xx
        case .unauthorized: .http401
        case .malformed: .malformed
        case .cancelled: .cancelled
        }
    }
}
