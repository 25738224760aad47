import Testing

@testable import CurlTransport

@Suite struct AddressCacheTests {
    private let start = ContinuousClock.now

    private func cache(capacity: Int = 10) -> AddressCache {
        AddressCache(lifetime: .seconds(30), staleLifetime: .seconds(600), capacity: capacity)
    }

    @Test func `addresses are fresh, then outdated, then unknown`() {
        var cache = cache()
        #expect(cache.knowledge(of: "a", at: start) == .unknown)
        cache.lookupEnded("a", addresses: ["1.1.1.1"], at: start)
        #expect(cache.knowledge(of: "a", at: start + .seconds(29)) == .known(["1.1.1.1"], isOutdated: false))
        #expect(cache.knowledge(of: "a", at: start + .seconds(30)) == .known(["1.1.1.1"], isOutdated: true))
        #expect(cache.knowledge(of: "a", at: start + .seconds(630)) == .unknown)
    }

    @Test func `a failed lookup leaves what is known`() {
        var cache = cache()
        cache.lookupEnded("a", addresses: ["1.1.1.1"], at: start)
        cache.lookupEnded("a", addresses: nil, at: start + .seconds(40))
        cache.lookupEnded("a", addresses: [], at: start + .seconds(40))
        #expect(cache.knowledge(of: "a", at: start + .seconds(41)) == .known(["1.1.1.1"], isOutdated: true))
        cache.forget("a")
        #expect(cache.knowledge(of: "a", at: start + .seconds(41)) == .unknown)
    }

    @Test func `one lookup runs per name, and one more when it was silent too long`() {
        var cache = cache()
        let asked: [(String, Int)] = [("a", 0), ("a", 4), ("b", 4), ("a", 5), ("a", 6), ("a", 100)]
        let answers = asked.map { name, second in
            cache.shouldLookUp(name, at: start + .seconds(second), patience: .seconds(5))
        }
        #expect(answers == [true, false, true, true, false, false])
        cache.lookupEnded("a", addresses: nil, at: start + .seconds(100))
        #expect(cache.isBeingLookedUp("a"))
        let again = cache.shouldLookUp("a", at: start + .seconds(100), patience: .seconds(5))
        #expect(again)
        cache.lookupEnded("a", addresses: nil, at: start + .seconds(101))
        cache.lookupIsOver("a")
        #expect(!cache.isBeingLookedUp("a"))
    }

    @Test func `the oldest names make room for new ones`() {
        var cache = cache(capacity: 3)
        for number in 0..<10 {
            cache.lookupEnded("\(number)", addresses: ["1.1.1.1"], at: start + .seconds(number))
            #expect(cache.count <= 3)
        }
        #expect(cache.knowledge(of: "9", at: start + .seconds(10)) != .unknown)
        #expect(cache.knowledge(of: "0", at: start + .seconds(10)) == .unknown)
    }
}

@Suite struct AddressPinsTests {
    private func lines(_ pins: inout AddressPins, _ hostAndPort: String, addresses: [String]) -> [String] {
        pins.pin(hostAndPort, addresses: addresses)
    }

    @Test func `an entry stays while it is used and is removed by the transfer after that`() {
        var pins = AddressPins()
        #expect(lines(&pins, "a:80", addresses: ["1.1.1.1", "::1"]) == ["a:80:1.1.1.1,[::1]"])
        #expect(lines(&pins, "a:80", addresses: ["1.1.1.1"]) == ["a:80:1.1.1.1"])
        pins.unpin("a:80")
        #expect(lines(&pins, "b:80", addresses: []) == [])
        pins.unpin("a:80")
        #expect(lines(&pins, "c:80", addresses: ["2.2.2.2"]) == ["-a:80", "c:80:2.2.2.2"])
        #expect(lines(&pins, "d:80", addresses: []) == [])
    }

    @Test func `an entry that is wanted again is not removed`() {
        var pins = AddressPins()
        _ = pins.pin("a:80", addresses: ["1.1.1.1"])
        pins.unpin("a:80")
        #expect(lines(&pins, "a:80", addresses: ["2.2.2.2"]) == ["a:80:2.2.2.2"])
    }
}

@Suite struct RequestTargetTests {
    @Test(arguments: [
        ("http://Example.test", "http://example.test:80"), ("https://a.test/x?y#z", "https://a.test:443"),
        ("http://[::1]:8080/", "http://::1:8080"), ("http://2130706433/", "http://127.0.0.1:80"),
    ])
    func `scheme, host and port are read as libcurl reads them`(url: String, origin: String) throws {
        #expect(try RequestTarget(url: url).origin == origin)
    }
}
