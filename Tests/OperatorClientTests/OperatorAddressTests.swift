import Testing

@testable import OperatorClient

@Suite struct OperatorAddressTests {
    private func address(
        url: String? = nil,
        file: String? = nil,
        _ environment: [String: String] = [:]
    ) throws(OperatorError) -> OperatorAddress {
        try OperatorAddress(url: url, tokenFile: file, environment: environment)
    }

    @Test func `the option comes before the environment, and both before the default`() throws {
        let environment = ["SANDBOX_MANAGER_API_LISTEN": "127.0.0.1:9000"]
        #expect(try address().url == "http://127.0.0.1:8484")
        #expect(try address(environment).url == "http://127.0.0.1:9000")
        #expect(try address(url: "https://daemon.test:1//", environment).url == "https://daemon.test:1")
    }

    @Test(arguments: [
        ("0.0.0.0:8484", "http://127.0.0.1:8484"), ("[::]:8484", "http://[::1]:8484"),
        ("localhost:1", "http://localhost:1"), ("[::1]:2", "http://[::1]:2"),
    ])
    func `who listens everywhere is reached on this machine`(listener: String, url: String) throws {
        #expect(try address(["SANDBOX_MANAGER_API_LISTEN": listener]).url == url)
    }

    @Test(arguments: ["127.0.0.1:0", "8484"])
    func `an address that leads nowhere is a usage error`(listener: String) {
        let error = #expect(throws: OperatorError.self) { try address(["SANDBOX_MANAGER_API_LISTEN": listener]) }
        #expect(error?.exitCode == 64)
        #expect(throws: OperatorError.self) { try address(url: "daemon.test:8484") }
    }

    @Test func `the token comes from the file, else from the environment; the first of two`() throws {
        let environment = ["SANDBOX_MANAGER_API_TOKEN": "one-token,two-token"]
        #expect(try address().token == nil)
        #expect(try address(environment).token == "one-token")
        #expect(try address(file: " in-a-file\n", environment).token == "in-a-file")
    }

    @Test(arguments: ["", "\n", "with blank inside", "t\u{E9}"])
    func `a file without a token is a usage error`(contents: String) {
        let error = #expect(throws: OperatorError.self) { try address(file: contents) }
        #expect(error?.exitCode == 64)
        #expect(error.map { !"\($0)".contains("blank") } == true, "a token is never printed")
    }
}
