import Testing

@testable import SandboxCore

@Suite struct OrphanWatchTests {
    private let books = BooksEdition(incarnation: "one", merges: 0)
    private let one = SandboxID("one")
    private let two = SandboxID("two")

    @Test func `what is seen for the first time is new, and overdue only after the grace`() {
        var watch = OrphanWatch()
        #expect(watch.see([one], in: books, now: .at(0)) == [one])
        #expect(watch.see([one, two], in: books, now: .at(60)) == [two])
        #expect(watch.overdue(after: .seconds(120), now: .at(119)).isEmpty)
        #expect(watch.overdue(after: .seconds(120), now: .at(120)) == [one])
        #expect(watch.overdue(after: .seconds(120), now: .at(180)) == [one, two], "the oldest first")
        #expect(watch.oldest(now: .at(180)) == .seconds(180))
    }

    @Test func `I6: what is in the books again, or gone, is forgotten`() {
        var watch = OrphanWatch()
        _ = watch.see([one, two], in: books, now: .at(0))
        _ = watch.see([two], in: books, now: .at(60))
        #expect(watch.count == 1)
        #expect(watch.see([one, two], in: books, now: .at(61)) == [one])
        #expect(watch.overdue(after: .seconds(60), now: .at(61)) == [two], "a new watch begins anew")
        watch.forget(two)
        #expect(watch.overdue(after: .zero, now: .at(61)) == [one])
    }

    @Test func `I10: in other books the watch begins anew`() {
        var watch = OrphanWatch()
        _ = watch.see([one], in: books, now: .at(0))
        let merged = BooksEdition(incarnation: "one", merges: 1)
        #expect(watch.see([one], in: merged, now: .at(200)) == [one])
        #expect(watch.overdue(after: .seconds(120), now: .at(200)).isEmpty)
    }
}
