import SandboxCore
import TestSupport
import Testing

@Suite struct MemoryLeaseStoreTests {
    private let contract = LeaseStoreContract {
        let time = ManualTime()
        let store = MemoryLeaseStore(time: time)
        return LeaseStoreContract.Subject(
            store: store,
            other: store,
            unit: .seconds(1),
            pass: { time.advance(by: $0) },
            usage: { store.usage() }
        )
    }

    @Test func `a slot moves from reservation to lease to outbox, and is free after the confirmed kill`() async throws {
        try await contract.movesASlotFromReservationToLeaseToOutbox()
    }

    @Test func `a repeated call changes nothing more`() async throws {
        try await contract.isIdempotent()
    }

    @Test func `K2 O6 a write that names another epoch does nothing`() async throws {
        try await contract.refusesStaleEpochs()
    }

    @Test func `O7 a release during a creation fences it`() async throws {
        try await contract.fencesReservations()
    }

    @Test func `I2 a sandbox taken over counts above the limits`() async throws {
        try await contract.adopts()
    }

    @Test func `K6 age, use and expiry are the sandbox's own, whoever reads them`() async throws {
        try await contract.keepsTimes()
    }

    @Test func `leases are listed by key, page by page, of all users or one`() async throws {
        try await contract.listsByKey()
    }

    @Test func `I4 a creation of unknown outcome keeps its slot`() async throws {
        try await contract.keepsSlotsOfOpenIntents()
    }

    @Test func `an intent is due after its deadline, and again after each claim`() async throws {
        try await contract.offersOverdueIntents()
    }

    @Test func `I7 K1 leases are offered when they are due, not when they were used meanwhile`() async throws {
        try await contract.offersWhatIsDue()
    }

    @Test func `K5 a paused lease is not idle`() async throws {
        try await contract.pauses()
    }

    @Test func `O3 a kill is one replica's at a time, and comes back until it is confirmed`() async throws {
        try await contract.claimsKills()
    }

    @Test func `I4 a condemned sandbox frees the slot that was found later`() async throws {
        try await contract.findsTheSlotOfTheCondemned()
    }

    @Test func `I1 L4 of a hundred who ask for one key at once one creates`() async throws {
        try await contract.grantsAKeyOnce()
    }

    @Test func `I2 L1 a burst of one user gets as much as the limit allows`() async throws {
        try await contract.keepsTheLimitOfAUser()
    }

    @Test func `I2 L3 a burst of many users gets as much as the limit allows`() async throws {
        try await contract.keepsTheLimitOfAll()
    }

    @Test func `O7 a commit and a release at once leave no lease`() async throws {
        try await contract.decidesBetweenCommitAndRelease()
    }

    @Test func `I7 a use and an end at once leave a used lease or none`() async throws {
        try await contract.decidesBetweenEndAndTouch()
    }

    @Test func `I4 a death is confirmed once and frees one slot`() async throws {
        try await contract.confirmsADeathOnce()
    }

    @Test func `I10 a lost lease comes back as it was, above the limits`() async throws {
        try await contract.restoresLeases()
    }

    @Test func `I1 of two sandboxes of one key the higher epoch stays and the other dies`() async throws {
        try await contract.restoresTheHigherEpoch()
    }

    @Test func `I1 a lease that comes back fences the key's reservation`() async throws {
        try await contract.restoresLeasesOverReservations()
    }

    @Test func `I10 a lost creation comes back with slot and intent`() async throws {
        try await contract.restoresIntents()
    }

    @Test func `what was condemned while the store was away dies in its books too`() async throws {
        try await contract.restoresKills()
    }

    @Test func `I3 what is leased, being made or condemned is in the books`() async throws {
        try await contract.accountsForSandboxes()
    }

    @Test func `books in order need no repair`() async throws {
        try await contract.repairsNothingThatIsInOrder()
    }

    @Test func `a claim makes a member of the pool the lease of a key, with its slot`() async throws {
        try await contract.claimsMembers()
    }

    @Test func `I5 of many who claim at once nobody gets another's sandbox`() async throws {
        try await contract.givesAMemberOnce()
    }

    @Test func `I2 the pool takes no more than its target, and nothing before somebody who was refused`() async throws {
        try await contract.limitsThePool()
    }

    @Test func `late words about the making of a member do nothing to whoever claimed it`() async throws {
        try await contract.keepsClaimsFromLateWords()
    }

    @Test func `I5 a member that may have been used is given to nobody`() async throws {
        try await contract.neverGivesAwayWhatMayHaveBeenUsed()
    }

    @Test func `a store keeps its name, and says when it is complete`() async throws {
        try await contract.attaches()
    }
}
