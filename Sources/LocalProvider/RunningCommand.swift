internal import CLocalSandbox
internal import Glibc
internal import SandboxCore

/// One command on its way: its pipes, what came out of them, and what is still missing for a result.
///
/// Confined to the loop's thread. It is over once the supervisor has said how it ended *and* both outputs are closed,
/// or a moment after the former, as a background child may hold an output open for ever.
final class RunningCommand {
    let number: UInt32
    private let reactor: Reactor
    private let completion: Completion<ExecResult>
    private let outputLimit: Int
    private var input: (watch: Reactor.Watch, descriptor: Int32)?
    private var pendingInput: ArraySlice<UInt8>
    private var outputs: [Output]
    private(set) var exit: ExitStatus?
    private var timedOut = false
    private var timers: [Reactor.Timer] = []

    private struct Output {
        var watch: Reactor.Watch?
        var bytes: [UInt8] = []
        var truncated = false
    }

    /// The command's own ends of its pipes, in the order of its descriptors; they go into the message that starts it.
    let childDescriptors: [Int32]

    /// Makes the pipes; fails when there is no descriptor left.
    ///
    /// `owner` may open the outputs anew through `/dev/stdout`; user 0 stands for this process's own.
    init?(
        number: UInt32,
        request: ExecRequest,
        outputLimit: Int,
        owner: (user: UInt32, group: UInt32),
        reactor: Reactor,
        completion: Completion<ExecResult>
    ) {
        self.number = number
        self.reactor = reactor
        self.completion = completion
        self.outputLimit = outputLimit
        pendingInput = request.standardInput[...]
        outputs = [Output(), Output()]
        var children: [Int32] = []
        var ours: [Int32] = []
        for stream in 0..<3 {
            var reader: Int32 = -1
            var writer: Int32 = -1
            if stream == 0, request.standardInput.isEmpty {
                reader = cls_open_read("/dev/null")
            } else if cls_pipe(&reader, &writer, stream == 0 ? 0 : 1, owner.user, owner.group) != 0 {
                reader = -1
            }
            guard reader >= 0 else {
                (children + ours).forEach { cls_close($0) }
                return nil
            }
            children.append(stream == 0 ? reader : writer)
            if stream != 0 { ours.append(reader) } else if writer >= 0 { ours.append(writer) }
        }
        childDescriptors = children
        watchPipes(ours)
    }

    private func watchPipes(_ descriptors: [Int32]) {
        var rest = descriptors[...]
        if !pendingInput.isEmpty, let descriptor = rest.popFirst() {
            // A failure to watch ends like a closed pipe: the command reads an early end or writes into nothing.
            let watch = reactor.watch(descriptor, for: .writable) { [weak self] in self?.feed($0) }
            if let watch { input = (watch, descriptor) } else { cls_close(descriptor) }
        }
        for (index, descriptor) in rest.enumerated() {
            outputs[index].watch = reactor.watch(descriptor, for: .readable) { [weak self] _ in
                self?.drain(index, descriptor)
            }
            if outputs[index].watch == nil { cls_close(descriptor) }
        }
    }

    var isAnswered: Bool { completion.isFinished }

    func start(_ timer: Reactor.Timer) { timers.append(timer) }

    /// Its time is over; the result will say so, whatever else it says.
    func markTimedOut() { timedOut = true }

    /// The supervisor says that it ended. `outputGrace` is what its background children get to close the outputs.
    func ended(_ status: ExitStatus, outputGrace: Duration) {
        exit = status
        closeInput()
        guard !finishIfComplete() else { return }
        timers.append(reactor.after(outputGrace) { [weak self] in self?.finish() })
    }

    func fail(_ error: ProviderError) {
        closeAll()
        completion.fail(error)
    }

    /// Gives the result with what is known now.
    func finish() {
        closeAll()
        let result = ExecResult(
            standardOutput: outputs[0].bytes,
            standardError: outputs[1].bytes,
            // Without a word of the supervisor: we had it killed.
            exitCode: exit?.code,
            signal: exit == nil ? 9 : exit?.signal,
            timedOut: timedOut,
            truncated: outputs[0].truncated || outputs[1].truncated
        )
        outputs = [Output(), Output()]
        completion.finish(.success(result))
    }

    private func finishIfComplete() -> Bool {
        guard exit != nil, outputs.allSatisfy({ $0.watch == nil }) else { return false }
        finish()
        return true
    }

    private func feed(_ events: Reactor.Events) {
        guard let input else { return }
        let written = pendingInput.withUnsafeBytes { cls_write(input.descriptor, $0.baseAddress, min($0.count, 65536)) }
        if written > 0 { pendingInput.removeFirst(Int(written)) }
        // An error other than "full" means that nobody reads any more, which is the command's good right.
        let isFull = written < 0 && !events.contains(.hungUp)
        if pendingInput.isEmpty || (written < 0 && !isFull) { closeInput() }
    }

    private func drain(_ index: Int, _ descriptor: Int32) {
        // One buffer a turn, so that a chatty command does not keep the others from theirs.
        let count = withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 16) { buffer in
            let count = Int(cls_read(descriptor, buffer.baseAddress, buffer.count))
            if count > 0 {
                let room = max(0, outputLimit - outputs[index].bytes.count)
                outputs[index].bytes += buffer[..<min(count, room)]
                if count > room { outputs[index].truncated = true }
            }
            return count
        }
        guard count == 0 || (count < 0 && count != -Int(EAGAIN)) else { return }
        if let watch = outputs[index].watch { reactor.close(watch) }
        outputs[index].watch = nil
        _ = finishIfComplete()
    }

    private func closeInput() {
        if let input { reactor.close(input.watch) }
        input = nil
        pendingInput = []
    }

    private func closeAll() {
        closeInput()
        for index in outputs.indices {
            if let watch = outputs[index].watch { reactor.close(watch) }
            outputs[index].watch = nil
        }
        timers.forEach { reactor.cancel($0) }
        timers = []
    }
}
