internal import SandboxCore

/// When which fault happens: drawn ahead from the seed, one after the other, whether or not its kind is switched on.
///
/// Confined to the simulation's thread.
final class FaultPlan: @unchecked Sendable {
    private struct Fault {
        var number: Int
        var kind: FaultKind
        var duration: Int64
        var target: Int
        var strength: Double
        var variant: Bool
    }

    private let world: World
    private let dice: Dice
    private var number = 0
    private var isOver = false
    /// Numbers of the faults that happened.
    private(set) var happened: [Int] = []

    init(world: World) {
        self.world = world
        dice = world.dice(for: "faults")
    }

    func begin() {
        world.timeline.after(dice.spread(.milliseconds(200), .seconds(8))) {
            guard !self.isOver else { return }
            self.strike()
            self.begin()
        }
    }

    /// Everything is mended, as far as it was broken from outside.
    func end() {
        isOver = true
        world.weather.clear()
        for wire in world.store.wires { wire.mend() }
        for replica in world.replicas where replica.life == nil { replica.start() }
        for machine in world.cloud.alive {
            machine.silentUntil = 0
            machine.sickUntil = 0
        }
    }

    private func strike() {
        number += 1
        let fault = Fault(
            number: number,
            kind: FaultKind.allCases[dice.below(FaultKind.allCases.count)],
            duration: dice.spread(.milliseconds(100), .seconds(20)),
            target: dice.below(1 << 20),
            strength: 0.2 + 0.8 * dice.nextFraction(),
            variant: dice.chance(0.5)
        )
        guard world.scenario.faults.contains(fault.kind), !world.options.skipped.contains(number) else { return }
        happened.append(number)
        perform(fault)
    }

    private func perform(_ fault: Fault) {
        func note(_ text: String) {
            world.history.note(nil, "fault #\(fault.number): \(fault.kind.rawValue) \(text)")
        }
        let forTime = "for \(fault.duration.asSeconds)"
        let replica = world.replicas[fault.target % world.replicas.count]
        switch fault.kind {
        case .partition:
            guard let life = replica.life, let wire = life.shared?.wire else { return }
            note("\(life.process.name) \(forTime)")
            wire.cut(for: fault.duration)
        case .storeReplies:
            guard let life = replica.life, let wire = life.shared?.wire else { return }
            let time = min(fault.duration, .seconds(4))
            note("\(life.process.name) for \(time.asSeconds)")
            wire.mute(for: time)
        case .storeLoss:
            guard world.scenario.store != .embedded else { return }
            note(fault.variant ? "restart" : "flush")
            world.store.lose(isRestart: fault.variant)
            world.checker.storeLost()
        case .crash:
            guard let life = replica.life else { return }
            note("\(life.process.name) \(forTime)")
            replica.crash()
            world.checker.processDied(life.process)
            if world.scenario.store == .embedded { world.checker.storeLost() }
            world.timeline.after(fault.duration) { if replica.life == nil { replica.start() } }
        case .stall:
            guard let life = replica.life else { return }
            note("\(life.process.name) \(forTime)")
            life.process.stall(for: fault.duration)
        case .clockStep:
            guard let life = replica.life else { return }
            let step = fault.duration * (fault.variant ? 60 : -60)
            note("\(life.process.name) by \(step / 1_000_000_000) s")
            life.process.stepWallClock(by: step)
        case .death:
            guard let machine = world.cloud.alive.nonEmptyPick(fault.target) else { return }
            note("\(machine.id)")
            world.cloud.end(machine, "by itself")
        case .silence:
            guard let machine = world.cloud.alive.nonEmptyPick(fault.target) else { return }
            let time = fault.duration * 5
            note("\(machine.id) \(fault.variant ? "silent" : "ill") for \(time.asSeconds)")
            if fault.variant {
                machine.silentUntil = world.timeline.now + time
            } else {
                machine.sickUntil = world.timeline.now + time
            }
        case .storeSlow, .hang, .error5xx, .error429, .reset, .lostCreate, .listingLag, .cancel:
            note("\(forTime), strength \(Int(fault.strength * 100))")
            world.weather.begin(fault.kind, strength: fault.strength, for: fault.duration)
        }
    }
}

extension Array {
    fileprivate func nonEmptyPick(_ number: Int) -> Element? { isEmpty ? nil : self[number % count] }
}
