import RedisClient
import SandboxCore
import TestSupport
import Testing

@testable import RedisLeaseStore

/// The contract of all stores on a real server, once as it is and once with every script run twice: there only the
/// second answer counts, as for a caller whose first reply was lost.
@Suite(.timeLimit(.minutes(1)), .enabled(if: RedisProcess.isInstalled))
struct ConformanceTests {
    @Test(arguments: [false, true])
    func `a slot moves from reservation to lease to outbox, and is free after the confirmed kill`(repeated: Bool)
        async throws
    {
        try await contract(repeated).movesASlotFromReservationToLeaseToOutbox()
    }

    @Test(arguments: [false, true]) func `a repeated call changes nothing more`(repeated: Bool) async throws {
        try await contract(repeated).isIdempotent()
    }

    @Test(arguments: [false, true]) func `K2 O6 a write that names another epoch does nothing`(repeated: Bool)
        async throws
    {
        try await contract(repeated).refusesStaleEpochs()
    }

    @Test(arguments: [false, true]) func `O7 a release during a creation fences it`(repeated: Bool) async throws {
        try await contract(repeated).fencesReservations()
    }

    @Test(arguments: [false, true]) func `I2 a sandbox taken over counts above the limits`(repeated: Bool) async throws
    {
        try await contract(repeated).adopts()
    }

    @Test(arguments: [false, true]) func `K6 age, use and expiry are the sandbox's own, whoever reads them`(
        repeated: Bool
    ) async throws {
        try await contract(repeated).keepsTimes()
    }

    @Test(arguments: [false, true]) func `leases are listed by key, page by page, of all users or one`(repeated: Bool)
        async throws
    {
        try await contract(repeated).listsByKey()
    }

    @Test(arguments: [false, true]) func `I4 a creation of unknown outcome keeps its slot`(repeated: Bool) async throws
    {
        try await contract(repeated).keepsSlotsOfOpenIntents()
    }

    @Test(arguments: [false, true]) func `an intent is due after its deadline, and again after each claim`(
        repeated: Bool
    ) async throws {
        try await contract(repeated).offersOverdueIntents()
    }

    @Test(arguments: [false, true])
    func `I7 K1 leases are offered when they are due, not when they were used meanwhile`(repeated: Bool) async throws {
        try await contract(repeated).offersWhatIsDue()
    }

    @Test(arguments: [false, true]) func `K5 a paused lease is not idle`(repeated: Bool) async throws {
        try await contract(repeated).pauses()
    }

    @Test(arguments: [false, true]) func `O3 a kill is one replica's at a time, and comes back until it is confirmed`(
        repeated: Bool
    ) async throws {
        try await contract(repeated).claimsKills()
    }

    @Test(arguments: [false, true]) func `I4 a condemned sandbox frees the slot that was found later`(repeated: Bool)
        async throws
    {
        try await contract(repeated).findsTheSlotOfTheCondemned()
    }

    @Test(arguments: [false, true]) func `I1 L4 of a hundred who ask for one key at once one creates`(repeated: Bool)
        async throws
    {
        try await contract(repeated).grantsAKeyOnce()
    }

    @Test(arguments: [false, true]) func `I2 L1 a burst of one user gets as much as the limit allows`(repeated: Bool)
        async throws
    {
        try await contract(repeated).keepsTheLimitOfAUser()
    }

    @Test(arguments: [false, true]) func `I2 L3 a burst of many users gets as much as the limit allows`(repeated: Bool)
        async throws
    {
        try await contract(repeated).keepsTheLimitOfAll()
    }

    @Test(arguments: [false, true]) func `O7 a commit and a release at once leave no lease`(repeated: Bool) async throws
    {
        try await contract(repeated).decidesBetweenCommitAndRelease()
    }

    @Test(arguments: [false, true]) func `I7 a use and an end at once leave a used lease or none`(repeated: Bool)
        async throws
    {
        try await contract(repeated).decidesBetweenEndAndTouch()
    }

    @Test(arguments: [false, true]) func `I4 a death is confirmed once and frees one slot`(repeated: Bool) async throws
    {
        try await contract(repeated).confirmsADeathOnce()
    }

    @Test(arguments: [false, true]) func `I10 a lost lease comes back as it was, above the limits`(repeated: Bool)
        async throws
    {
        try await contract(repeated).restoresLeases()
    }

    @Test(arguments: [false, true]) func `I1 of two sandboxes of one key the higher epoch stays and the other dies`(
        repeated: Bool
    ) async throws {
        try await contract(repeated).restoresTheHigherEpoch()
    }

    @Test(arguments: [false, true]) func `I1 a lease that comes back fences the key's reservation`(repeated: Bool)
        async throws
    {
        try await contract(repeated).restoresLeasesOverReservations()
    }

    @Test(arguments: [false, true]) func `I10 a lost creation comes back with slot and intent`(repeated: Bool)
        async throws
    {
        try await contract(repeated).restoresIntents()
    }

    @Test(arguments: [false, true]) func `what was condemned while the store was away dies in its books too`(
        repeated: Bool
    ) async throws {
        try await contract(repeated).restoresKills()
    }

    @Test(arguments: [false, true]) func `I3 what is leased, being made or condemned is in the books`(repeated: Bool)
        async throws
    {
        try await contract(repeated).accountsForSandboxes()
    }

    @Test(arguments: [false, true]) func `books in order need no repair`(repeated: Bool) async throws {
        try await contract(repeated).repairsNothingThatIsInOrder()
    }

    @Test(arguments: [false, true]) func `a store keeps its name, and says when it is complete`(repeated: Bool)
        async throws
    {
        try await contract(repeated).attaches()
    }

    @Test(arguments: [false, true])
    func `a claim makes a member of the pool the lease of a key, with its slot`(repeated: Bool) async throws {
        try await contract(repeated).claimsMembers()
    }

    @Test(arguments: [false, true])
    func `I5 of many who claim at once nobody gets another's sandbox`(repeated: Bool) async throws {
        try await contract(repeated).givesAMemberOnce()
    }

    @Test(arguments: [false, true])
    func `I2 the pool takes no more than its target, and nothing before somebody who was refused`(repeated: Bool)
        async throws
    {
        try await contract(repeated).limitsThePool()
    }

    @Test(arguments: [false, true])
    func `late words about the making of a member do nothing to whoever claimed it`(repeated: Bool) async throws {
        try await contract(repeated).keepsClaimsFromLateWords()
    }

    @Test(arguments: [false, true])
    func `I5 a member that may have been used is given to nobody`(repeated: Bool) async throws {
        try await contract(repeated).neverGivesAwayWhatMayHaveBeenUsed()
    }

    private func contract(_ repeated: Bool) -> LeaseStoreContract {
        LeaseStoreContract {
            var tuning = Tuning()
            tuning.repeatsCalls = repeated
            let world = try await World(tuning: tuning)
            let store = try await world.replica("me")
            let other = try await world.replica("other")
            return LeaseStoreContract.Subject(
                store: store,
                other: other,
                unit: .milliseconds(30),
                pass: { try await world.pass($0) },
                usage: {
                    try await store.beat()
                    return store.usage()
                },
                end: { await world.end() }
            )
        }
    }
}
