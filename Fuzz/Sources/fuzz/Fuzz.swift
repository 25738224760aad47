import Glibc

// `fuzz TARGET [libFuzzer's own options and folders]`; without a target: their names, one a line.

@main
enum Fuzz {
    nonisolated(unsafe) private static var target: FuzzTarget?

    static func main() {
        guard CommandLine.argc > 1, let name = CommandLine.arguments.dropFirst().first,
            let found = FuzzTarget.all.first(where: { $0.name == name })
        else {
            FuzzTarget.all.forEach { print($0.name) }
            exit(CommandLine.argc > 1 ? 2 : 0)
        }
        // Written before libFuzzer starts, read by its calls only.
        target = found
        var argc = CommandLine.argc - 1
        var argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
        exit(runDriver(&argc, &argv) { bytes, count in Fuzz.check(bytes, count) })
    }

    private static func check(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
        let violations = target?.check(Array(UnsafeBufferPointer(start: bytes, count: count))) ?? []
        if !violations.isEmpty {
            print("violated: \(violations)")
            fflush(nil)
            // libFuzzer writes the input into a file when the process ends itself like this.
            abort()
        }
        return 0
    }
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argc: UnsafeMutablePointer<Int32>,
    _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32
