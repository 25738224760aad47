import TestSupport
import Testing

@testable import SandboxCore

@Suite struct StoreJournalTests {
    private func ticket(_ sandbox: String) -> KillTicket {
        KillTicket(sandbox: SandboxID(sandbox), token: CreationToken("t"), key: nil, reason: .released)
    }

    private func request(_ token: String) throws -> ReservationRequest {
        ReservationRequest(
            key: try key(),
            owner: "me",
            token: CreationToken(token),
            limits: SlotLimits(perUser: 2, total: 5),
            intentDeadline: .seconds(100)
        )
    }

    @Test func `I4: a death that was confirmed does not become open again`() {
        var journal = StoreJournal()
        journal.condemned(ticket("a"), now: .at(0))
        journal.confirmed(ticket("a"), isToldLater: true, now: .at(1))
        journal.condemned(ticket("a"), now: .at(2))
        #expect(journal.deaths[SandboxID("a")]?.isConfirmed == true)
    }

    @Test func `I3: a telling forgets the confirmed deaths only, a confirmed one that was told is gone`() {
        var journal = StoreJournal()
        journal.condemned(ticket("dying"), now: .at(0))
        journal.confirmed(ticket("dead"), isToldLater: true, now: .at(0))
        journal.toldOfDeaths([SandboxID("dying"), SandboxID("dead")])
        #expect(Array(journal.deaths.keys) == [SandboxID("dying")])
        journal.confirmed(ticket("dying"), isToldLater: false, now: .at(1))
        #expect(journal.isEmpty)
    }

    @Test func `I6: what is older than ten minutes is forgotten, but no sandbox that waits for its lease`() throws {
        var journal = StoreJournal()
        journal.condemned(ticket("a"), now: .at(0))
        journal.reserved(try request("t"), Epoch(1), now: .at(0))
        journal.prune(now: .at(599))
        #expect(journal.deaths.count == 1 && journal.creations.count == 1)
        journal.prune(now: .at(600))
        #expect(journal.isEmpty)
    }
}
