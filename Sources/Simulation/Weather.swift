/// What the faults of this moment do to calls. Changed by the plan, read by wires.
///
/// Confined to the simulation's thread.
final class Weather: @unchecked Sendable {
    /// How likely each kind strikes a call; kinds that are not under way are missing.
    private var strength: [FaultKind: Double] = [:]
    private var until: [FaultKind: Int64] = [:]
    private let dice: Dice
    private let timeline: Timeline

    init(dice: Dice, timeline: Timeline) {
        self.dice = dice
        self.timeline = timeline
    }

    func begin(_ kind: FaultKind, strength: Double, for time: Int64) {
        self.strength[kind] = strength
        until[kind] = timeline.now + time
    }

    func clear() {
        strength = [:]
        until = [:]
    }

    func isActive(_ kind: FaultKind) -> Bool { until[kind].map { $0 > timeline.now } ?? false }

    /// Whether the kind strikes this call.
    func strikes(_ kind: FaultKind) -> Bool {
        guard isActive(kind) else { return false }
        return dice.chance(strength[kind] ?? 0)
    }
}
