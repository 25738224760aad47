internal import FoundationEssentials

/// How another process drives the fake: everything below `/__admin` on the control plane's port.
///
/// `GET sandboxes`, `GET lives`, `GET counters`, `GET journal`; `POST faults` with a fault or a list of them,
/// `DELETE faults`, `POST seed {"number"}`;
/// `POST advance {"seconds"}`, `POST agent {"id", "behaviour"}`, `POST port {"name", "open"}`,
/// `POST limits {"concurrency", "tierSeconds", "rateBurst", "ratePerSecond", "hasV2"}`, `POST vanish {"id"}`,
/// `POST reset`.
struct AdminRoutes {
    private let server: FakeE2BServer

    init(_ server: FakeE2BServer) { self.server = server }

    func answer(_ request: FakeRequest) -> FakeReply {
        let name = request.path.split(separator: "/").dropFirst().joined(separator: "/")
        let body = request.json ?? [:]
        switch "\(request.method) \(name)" {
        case "GET sandboxes": return .json(200, .list(server.sandboxes.map(describe)))
        case "GET lives": return .json(200, .list(server.lives.map(\.json)))
        case "GET counters": return .json(200, .object(server.counters.mapValues(JSONValue.int)))
        case "GET journal": return .json(200, .list(server.journal.map(\.json)))
        case "POST faults": return inject(request)
        case "DELETE faults": server.clearFaults()
        case "POST seed": server.seed(UInt64(clamping: body["number"]?.int ?? 0))
        case "POST advance": server.advance(seconds: number(body["seconds"]) ?? 0)
        case "POST agent": server.setAgent(body["behaviour"]?.text ?? "", of: body["id"]?.text ?? "")
        case "POST vanish": server.vanish(body["id"]?.text ?? "")
        case "POST limits": configure(body)
        case "POST reset": server.reset()
        case "POST port":
            do throws(FakeE2BError) {
                try server.setPort(body["name"]?.text ?? "", isOpen: body["open"]?.flag ?? true)
            } catch {
                return .text(500, error.reason)
            }
        default: return .text(404, "no such admin call")
        }
        return .json(200, [:])
    }

    private func inject(_ request: FakeRequest) -> FakeReply {
        let decoder = JSONDecoder()
        let data = Data(request.body)
        do {
            let isOne = request.json?.list == nil
            let faults =
                try isOne ? [decoder.decode(FakeFault.self, from: data)] : decoder.decode([FakeFault].self, from: data)
            faults.forEach(server.inject)
            return .json(200, [:])
        } catch {
            return .text(400, "not a fault: \(error)")
        }
    }

    private func configure(_ body: JSONValue) {
        server.configure { configuration in
            if let limit = body["concurrency"]?.int { configuration.concurrencyLimit = limit }
            if let seconds = body["tierSeconds"]?.int { configuration.tierSeconds = seconds }
            if let hasV2 = body["hasV2"]?.flag { configuration.hasV2 = hasV2 }
            if let burst = body["rateBurst"]?.int {
                configuration.rateLimit = burst == 0 ? nil : (burst, number(body["ratePerSecond"]) ?? 1)
            }
        }
    }

    private func number(_ value: JSONValue?) -> Double? {
        switch value {
        case .int(let int): Double(int)
        case .double(let double): double
        default: nil
        }
    }

    private func describe(_ sandbox: FakeE2BServer.Sandbox) -> JSONValue {
        [
            "id": .text(sandbox.id), "state": .text(sandbox.state),
            "metadata": .object(sandbox.metadata.mapValues(JSONValue.text)),
            "remainingSeconds": .double(sandbox.remainingSeconds), "autoPause": .flag(sandbox.autoPause),
        ]
    }
}
