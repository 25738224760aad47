import Testing

@testable import RedisClient

@Suite struct AnticipationTests {
    @Test func `looking goes on while it pays`() {
        var anticipation = Anticipation()
        for _ in 0..<1000 {
            let looks = anticipation.isWorthwhile()
            #expect(looks)
            anticipation.ended(found: true)
        }
    }

    @Test func `a few failures amid successes change nothing`() {
        var anticipation = Anticipation()
        for round in 0..<1000 {
            let looks = anticipation.isWorthwhile()
            #expect(looks)
            anticipation.ended(found: round % 3 > 0)
        }
    }

    @Test func `once looking does not pay, it is tried in one wait of 64`() {
        var anticipation = Anticipation()
        var tries = 0
        for _ in 0..<6400 where anticipation.isWorthwhile() {
            tries += 1
            anticipation.ended(found: false)
        }
        #expect((90...110).contains(tries))
    }

    @Test func `a server that becomes near is noticed`() {
        var anticipation = Anticipation()
        for _ in 0..<1000 where anticipation.isWorthwhile() { anticipation.ended(found: false) }
        var waits = 0
        while !anticipation.isWorthwhile(), waits < 1000 { waits += 1 }
        anticipation.ended(found: true)
        #expect(waits <= 64)
        let looks = anticipation.isWorthwhile()
        #expect(looks)
    }
}
