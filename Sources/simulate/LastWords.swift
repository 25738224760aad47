import Glibc

/// What a run says when the core traps or never comes back: which seed it was.
enum LastWords {
    /// Longer than any run takes, on a busy machine too.
    private static let longestRun: UInt32 = 300

    // Written between runs and read in a signal handler of the same thread.
    nonisolated(unsafe) private static var words: UnsafeMutablePointer<CChar>?

    /// A run begins; its last words are ready from here on.
    static func prepare(_ seed: UInt64, _ command: String) {
        unsafe free(words)
        unsafe words = strdup("seed=\(seed)\n  replay: \(command)\n")
        _ = alarm(longestRun)
    }

    static func arm() {
        for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS] {
            signal(number) { number in
                LastWords.say("violation TRAP ")
                signal(number, SIG_DFL)
                raise(number)
            }
        }
        signal(SIGALRM) { _ in
            LastWords.say("violation I9 (a step does not end) ")
            _exit(1)
        }
    }

    /// Only what may be called in a signal handler.
    private static func say(_ what: StaticString) {
        _ = unsafe write(STDOUT_FILENO, what.utf8Start, what.utf8CodeUnitCount)
        guard let words = unsafe words else { return }
        _ = unsafe write(STDOUT_FILENO, words, strlen(words))
    }
}
