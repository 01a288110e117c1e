import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// A running `varve-capture-bdb` and the lines to it.
final class HelperProcess {
    private let control: File
    private let events: File
    private let memory: SharedMemory
    /// A file in memory takes what it writes there (a crash's last words): a pipe could fill up and block it.
    private let standardError: File
    private let child: ChildProcess
    private var incoming = CaptureFrameBuffer()
    private let cancellation: Cancellation
    /// It works on what nobody else has open: nothing is left to be undone when it is killed.
    private let isExpendable: Bool

    /// How long a helper may keep silent once the user wants to stop. It answers within a second, unless libdb waits
    /// for a lock of the application.
    private static let patience: UInt64 = 10_000_000_000
    /// Milliseconds between two looks at whether the user wants to stop, where nothing tells it.
    private static let slice: Int32 = 200
    /// Milliseconds of silence that are counted at a time, where something does.
    private static let longSlice: Int32 = 1000

    var process: Int32 { child.process }

    /// Beside this program, then where an installation puts it; `VARVE_CAPTURE_BDB` goes first.
    static func locate() throws(VarveError) -> String {
        if let given = getenv("VARVE_CAPTURE_BDB") { return String(cString: given) }
        guard let program = ProcessArguments.executable else {
            throw VarveError(
                .missing, "can't find the helper: the path of this program is not known",
                hint: "name the helper varve-capture-bdb in VARVE_CAPTURE_BDB, or mount /proc")
        }
        let directory = Path.parent(program)
        let places = [
            Path.join(directory, "varve-capture-bdb"),
            Path.join(Path.parent(directory), "libexec/varve/varve-capture-bdb"),
        ]
        for place in places where access(place, X_OK) == 0 { return place }
        throw VarveError(
            .missing, "the helper varve-capture-bdb was not found in \(places.joined(separator: " or "))",
            hint: "install it there, or name it in VARVE_CAPTURE_BDB")
    }

    init(
        executable: String, password: [UInt8]?, lock: EnvironmentLock?, root: RootDirectory? = nil,
        slots: Int, cancellation: Cancellation = Cancellation()
    ) throws(VarveError) {
        self.cancellation = cancellation
        isExpendable = lock == nil
        let commands = try Pipe()
        let answers = try Pipe()
        let slab = try SharedMemory(count: slots * CaptureProtocol.slotSize)
        let words = try File.memory("stderr")
        let secret = try File.memory("password")
        var descriptors: [(ours: Int32, theirs: Int32)] = [
            (commands.reading.descriptor, CaptureProtocol.Descriptor.control),
            (answers.writing.descriptor, CaptureProtocol.Descriptor.events),
            (words.descriptor, 2),
            (slab.file.descriptor, CaptureProtocol.Descriptor.sharedMemory),
        ]
        var arguments: [String] = []
        if let password {
            arguments.append(CaptureProtocol.Argument.password)
            try password.withBytes { (bytes) throws(VarveError) in try secret.write(bytes, at: 0) }
            descriptors.append((secret.descriptor, CaptureProtocol.Descriptor.password))
        }
        if let root {
            arguments.append(CaptureProtocol.Argument.root)
            descriptors.append((root.descriptor, CaptureProtocol.Descriptor.root))
        }
        if let lock {
            arguments += [CaptureProtocol.Argument.lock, CaptureProtocol.Argument.home]
            descriptors.append((lock.descriptor, CaptureProtocol.Descriptor.lock))
            descriptors.append((lock.files.root.descriptor, CaptureProtocol.Descriptor.home))
        }
        child = try ChildProcess(
            executable, arguments: arguments,
            environment: ["LC_ALL=C", "TZ=UTC", "SWIFT_BACKTRACE=enable=no"],
            descriptors: descriptors)
        control = commands.writing
        events = answers.reading
        memory = slab
        standardError = words
    }

    /// Throws `.helperDied` if nobody reads.
    func send(_ command: CaptureCommand) throws(VarveError) {
        do {
            // A helper that dies while we write to it must be an error, not the end of this process.
            try withoutBrokenPipeSignal { () throws(VarveError) in
                try command.encoded.withBytes { (bytes) throws(VarveError) in try control.write(bytes) }
            }
        } catch let error where error.errno == EPIPE {
            throw death()
        }
    }

    /// Waits for the next event, for signs of life as long as they come.
    ///
    /// Throws `.helperDied` at the end of the stream, `.helperStuck` after a `silence` (the caller knows more to say of
    /// it), and `.interrupted` if no event comes although the user wants to stop. The helper then goes on alone: it
    /// cleans up as soon as libdb lets it. One that has nothing to clean up is killed at once.
    func nextEvent(silence limit: Duration? = nil) throws(VarveError) -> CaptureEvent {
        var cancelledSince: UInt64?
        var silence: Duration = .zero
        while true {
            if isExpendable && cancellation.isRequested { throw try interrupt() }
            if let body = try incoming.next() {
                let event = try body.withBytes { (bytes) throws(VarveError) in try CaptureEvent(bytes) }
                guard event == .alive else { return event }
                silence = .zero
            }
            let waited = try waitForEvent()
            guard waited == nil else {
                // Waits are counted, not the clock: while this process was stopped, the helper may have been, too.
                silence += waited ?? .zero
                if let limit, silence >= limit {
                    throw VarveError(.helperStuck, "the helper (process \(process)) says nothing")
                }
                let now = Clock.monotonic()
                if cancellation.isRequested, cancelledSince == nil { cancelledSince = now }
                if let since = cancelledSince, now - since > Self.patience {
                    throw VarveError(
                        .interrupted,
                        "interrupted; the helper (process \(process)) is still inside libdb",
                        hint:
                            "it undoes what it did to the environment as soon as libdb returns; if libdb waits for a"
                            + " lock of an application that died, run recovery on the environment")
                }
                continue
            }
            let bytes = try events.readSome()
            guard !bytes.isEmpty else { throw death() }
            bytes.withUnsafeBytes { incoming.append($0) }
        }
    }

    /// Waits until there is something to read; or returns how long there was not, at once when the user wants to stop.
    private func waitForEvent() throws(VarveError) -> Duration? {
        var waiting = [pollfd(fd: events.descriptor, events: Int16(POLLIN), revents: 0)]
        var limit = Self.slice
        // Once it is readable it stays so, and would not let us wait any more.
        if let descriptor = cancellation.descriptor, !cancellation.isRequested {
            waiting.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
            limit = Self.longSlice
        }
        let count = try systemCall("poll", events.path) { poll(&waiting, nfds_t(waiting.count), limit) }
        if waiting[0].revents != 0 { return nil }
        return count == 0 ? .milliseconds(limit) : .zero
    }

    /// Whether it ended within the time: its end of the pipe is closed then. What it still says is dropped.
    func ends(within limit: Duration) throws(VarveError) -> Bool {
        var waited: Duration = .zero
        while waited < limit {
            if try !events.waitReadable(milliseconds: Self.slice) {
                waited += .milliseconds(Self.slice)
            } else if try events.readSome().isEmpty {
                return true
            }
        }
        return false
    }

    /// Kills it, whatever it is at. A process that waits for a dead disk does not even die; it is left then.
    func end() throws(VarveError) {
        try kill(SIGKILL)
        if try ends(within: .seconds(5)) { try wait() }
    }

    private func interrupt() throws(VarveError) -> VarveError {
        try kill(SIGKILL)
        try wait()
        return VarveError(
            .interrupted, "interrupted in the middle of recovery or verification",
            hint: "run the same command again")
    }

    func slot(_ index: UInt32, count: UInt32) throws(VarveError) -> UnsafeRawBufferPointer {
        let start = Int(index) * CaptureProtocol.slotSize
        guard Int(count) <= CaptureProtocol.slotSize, start + CaptureProtocol.slotSize <= memory.bytes.count
        else { throw VarveError(.corrupt, "the helper filled slot \(index) with \(count) bytes") }
        return UnsafeRawBufferPointer(rebasing: memory.bytes[start..<start + Int(count)])
    }

    func kill(_ signal: Int32) throws(VarveError) { try child.send(signal: signal) }

    @discardableResult
    func wait() throws(VarveError) -> ChildProcess.Status { try child.wait() }

    private func death() -> VarveError {
        let status = (try? child.wait()).map(\.description) ?? "is gone"
        let words = (try? standardError.readAll(limit: 1 << 16)) ?? []
        let last = String(decoding: words.suffix(2000), as: UTF8.self)
        return VarveError(
            .helperDied, "the helper varve-capture-bdb \(status)" + (last.isEmpty ? "" : ": \(last)"))
    }
}
