/// Users of a scene's daemon, over and over.
struct LoadGenerator: Sendable {
    let load: DrillLoad

    /// Runs until it is cancelled. What the daemon answers is counted by the scene and otherwise ignored: in a drill it
    /// may well be errors.
    func run(_ scene: Scene) async {
        guard load.visitors + load.regulars > 0 else { return }
        var turn = 0
        while !Task.isCancelled {
            turn += 1
            await withTaskGroup(of: Void.self) { group in
                for index in 0..<load.visitors {
                    let user = "visitor-\(turn)-\(index)"
                    group.addTask {
                        _ = await scene.acquire(user)
                        if load.visitorsLeave { _ = await scene.release(user) }
                    }
                }
                for index in 0..<load.regulars {
                    group.addTask { _ = await scene.acquire("regular-\(index)") }
                    if load.regularsComeTwice { group.addTask { _ = await scene.acquire("regular-\(index)") } }
                }
            }
            try? await Task.sleep(for: load.pause)
        }
    }
}
