import Glibc
import Synchronization
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

@Suite struct FileTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func write(_ bytes: [UInt8], _ file: borrowing File, at offset: UInt64) throws {
        try bytes.withUnsafeBytes { try file.write($0, at: offset) }
    }

    @Test func whereTheBytesEnd() throws {
        let file = try File.create(directory.join("sparse"))
        #expect(try file.dataEnd() == 0)
        try file.truncate(to: 10 << 20)
        try write([1, 2, 3], file, at: 1 << 20)
        let (end, size) = (try file.dataEnd(), try file.status().size)
        // In whole blocks, or all of it where the file system can't tell.
        #expect(end >= 1 << 20 + 3 && end <= size)
        // What it leaves out is zeros.
        let bytes = try File.open(reading: directory.join("sparse")).readAll(limit: 10 << 20)
        #expect(bytes.dropFirst(Int(end)).allSatisfy { $0 == 0 })
        // Without holes it is the size.
        try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        #expect(try file.dataEnd() == 10 << 20)
    }

    /// Short only at the end of the file, and nothing of the buffer is touched behind it.
    @Test func readsAtAnyOffset() throws {
        let file = try File.create(directory.join("file"))
        let bytes = (0..<100).map { UInt8($0) }
        try write(bytes, file, at: 0)
        for (offset, count) in [(0, 100), (0, 0), (40, 20), (99, 1), (99, 5), (100, 5), (5000, 5), (0, 200)] {
            var buffer = [UInt8](repeating: 0xEE, count: count)
            let done = try buffer.withUnsafeMutableBytes { try file.read(into: $0, at: UInt64(offset)) }
            let wanted = Array(bytes.dropFirst(offset).prefix(count))
            #expect(Array(buffer.prefix(done)) == wanted, "\(count) at \(offset)")
            #expect(buffer.dropFirst(done).allSatisfy { $0 == 0xEE })
        }
        #expect(try file.readStart(10) == Array(bytes.prefix(10)) && file.readStart(1000) == bytes)
        // What lies between the end and a write behind it is zeros.
        try write([7], file, at: 200)
        #expect(try file.readAll(limit: 1000) == bytes + [UInt8](repeating: 0, count: 100) + [7])
    }

    @Test func theLimitOfReadAll() throws {
        let file = try File.create(directory.join("file"))
        try write([1, 2, 3], file, at: 0)
        #expect(try file.readAll(limit: 3) == [1, 2, 3])
        expect(.invalid) { try file.readAll(limit: 2) }
        // Sizes that no memory could hold are asked about before any is taken.
        try file.truncate(to: 1 << 40)
        expect(.invalid) { try file.readAll(limit: 1 << 30) }
        // What is longer is cut off here.
        #expect(try file.readToEnd(limit: 2) == [1, 2])
        try file.truncate(to: 0)
        #expect(try file.readAll(limit: 0).isEmpty && file.readToEnd(limit: 10).isEmpty)
    }

    /// The kernel makes these as they are read: `stat` says 0 bytes.
    @Test func filesWithoutASize() throws {
        let file = try File.open(reading: "/proc/self/maps")
        #expect(try file.status().size == 0)
        #expect(try file.readToEnd(limit: 64 << 20).count > 1000)
        #expect(try file.readAll(limit: 100).isEmpty, "the control")
    }

    @Test func whatCanNotBeOpened() throws {
        try Bytes.write([1], to: directory.join("file"))
        try FileKind.symbolicLink(directory.join("link"), to: "file")
        let (file, link) = (directory.join("file"), directory.join("link"))
        #expect(expect(.system) { try File.open(reading: directory.join("none")).path }?.errno == ENOENT)
        #expect(expect(.system) { try File.create(file).path }?.errno == EEXIST)
        #expect(expect(.system) { try File.create(link).path }?.errno == EEXIST)
        #expect(expect(.system) { try File.open(reading: link, followLinks: false).path }?.errno == ELOOP)
        #expect(expect(.system) { try File.open(updating: link).path }?.errno == ELOOP)
        // The controls.
        #expect(try File.open(reading: link).readAll(limit: 1) == [1])
        #expect(try File.open(updating: file).readAll(limit: 1) == [1])
        #expect(try File.linkTarget(link) == "file")
        #expect(expect(.system) { try File.linkTarget(file) }?.errno == EINVAL)
    }

    @Test func aFullDeviceSaysSo() throws {
        let file = File(
            descriptor: try systemCall("open", "/dev/full") { open("/dev/full", O_WRONLY) }, path: "/dev/full"
        )
        let error = expect(.system) { try [UInt8(1)].withUnsafeBytes { try file.write($0) } }
        #expect(
            error?.isNoSpace == true && error?.hint != nil && error?.message.contains("/dev/full") == true)
        expect(.system) { try [UInt8(1)].withUnsafeBytes { try file.write($0, at: 5) } }
    }

    @Test func aScratchFileHasNoName() throws {
        let file = try File.scratch(in: directory.path)
        try write([1, 2], file, at: 0)
        #expect(try Directory.list(directory.path).isEmpty)
        #expect(try file.readAll(limit: 2) == [1, 2])
        #expect(try file.status().links == 0)
    }

    /// Times, modes; a change of one leaves the others.
    @Test func attributes() throws {
        let file = try File.create(directory.join("file"), mode: 0o640)
        let time = Timestamp(seconds: 1_234_567_890, nanoseconds: 987_654_000)
        try file.setModified(time)
        try file.setMode(0o600)
        let status = try file.status()
        #expect(status.modified == time && status.mode == 0o600 && status.kind == .regular)
        #expect(try FileStatus.of(directory.join("file")) == status)
        #expect(try FileStatus.of(directory.join("file/below")) == nil)
        #expect(try FileStatus.of(directory.join("none")) == nil)
        #expect(try FileStatus.of(directory.path)?.kind == .directory)
    }
}

/// Reads and writes that a pipe, or a signal, cuts short.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ShortCallTests {
    private static let signals = Atomic<Int>(0)

    /// A handler that does not let calls go on (no `SA_RESTART`), for a signal that nobody else uses.
    private static let signal: Int32 = {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in
            ShortCallTests.signals.add(1, ordering: .relaxed)
        }
        sigaction(SIGUSR2, &action, nil)
        return SIGUSR2
    }()

    private static func isAsleep(_ thread: String) -> Bool {
        guard let file = try? File.open(reading: "/proc/\(thread)/stat"),
            let bytes = try? file.readToEnd(limit: 4096), let end = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return false }
        return bytes.dropFirst(end + 2).first == UInt8(ascii: "S")
    }

    /// Runs `body` on a thread that is interrupted whenever it sleeps, until it ends or `isEnough`.
    ///
    /// - Returns: how often its handler ran.
    private func interrupting(
        _ body: @escaping @Sendable () -> Void, until isEnough: (_ interruptions: Int) -> Bool
    ) throws -> (interruptions: Int, thread: WorkerThread) {
        let identity = Monitor<(thread: pthread_t, entry: String)?>(nil)
        let isDone = Monitor(false)
        let signal = Self.signal
        let start = Self.signals.load(ordering: .relaxed)
        let thread = try WorkerThread {
            // Threads of the cooperative pool block all signals, and ours inherit that.
            var set = sigset_t()
            sigemptyset(&set)
            sigaddset(&set, signal)
            pthread_sigmask(SIG_UNBLOCK, &set, nil)
            let entry = (try? File.linkTarget("/proc/thread-self")) ?? ""
            identity.change { $0 = (pthread_self(), entry) }
            body()
            isDone.change { $0 = true }
        }
        let (handle, entry) = identity.wait { $0 }
        while true {
            let interruptions = Self.signals.load(ordering: .relaxed) - start
            if isDone.change({ $0 }) || isEnough(interruptions) { return (interruptions, thread) }
            // It is joined only later: the handle is good.
            if Self.isAsleep(entry) { pthread_kill(handle, signal) }
            sched_yield()
        }
    }

    @Test func aSignalDoesNotEndARead() throws {
        let pipe = try VarveFiles.Pipe()
        let (input, output) = (pipe.reading.descriptor, pipe.writing.descriptor)
        // The control: the bare call ends with EINTR.
        let bare = Monitor<(Int, Int32)?>(nil)
        let control = try interrupting(
            {
                var byte: UInt8 = 0
                let result = read(input, &byte, 1)
                bare.change { [code = errno] in $0 = (result, code) }
            }, until: { _ in false })
        control.thread.join()
        #expect(bare.change { $0.map { $0 == (-1, EINTR) } } == true)

        let bytes = Monitor<[UInt8]?>(nil)
        let copy = dup(input)
        let reader = try interrupting(
            {
                let file = File(descriptor: copy, path: "pipe")
                let read = try? file.readSome()
                bytes.change { $0 = read }
            }, until: { $0 >= 5 })
        #expect(bytes.change { $0 } == nil)
        #expect(write(output, [1, 2, 3] as [UInt8], 3) == 3)
        reader.thread.join()
        #expect(bytes.change { $0 } == [1, 2, 3])
        withExtendedLifetime(pipe) {}
    }

    /// A megabyte does not fit into a pipe, and a signal ends the call in the middle.
    @Test func whatIsWrittenInPiecesIsWhole() throws {
        var random = SeededRandom()
        let bytes = random.bytes(1 << 20)
        let pipe = try VarveFiles.Pipe()
        let (input, output) = (pipe.reading.descriptor, dup(pipe.writing.descriptor))
        let failure = Monitor<String?>(nil)
        var read: [UInt8] = []
        let writer = try interrupting(
            {
                let file = File(descriptor: output, path: "pipe")
                do { try bytes.withUnsafeBytes { try file.write($0) } } catch {
                    failure.change { $0 = "\(error)" }
                }
            },
            until: { interruptions in
                // Room for a part, then the next interruption meets a call that has written something.
                guard interruptions > read.count / 50_000 else { return false }
                var buffer = [UInt8](repeating: 0, count: 50_000)
                let count = Glibc.read(input, &buffer, buffer.count)
                read += buffer.prefix(max(0, count))
                return read.count > 400_000
            })
        #expect(writer.interruptions > 5)
        while read.count < bytes.count {
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let count = Glibc.read(input, &buffer, buffer.count)
            guard count > 0 else { break }
            read += buffer.prefix(count)
        }
        writer.thread.join()
        #expect(failure.change { $0 } == nil)
        #expect(read == bytes, "seed \(random.seed)")
        withExtendedLifetime(pipe) {}
    }

    /// A stream comes in the pieces in which it is written, and ends with its last writer.
    @Test func aStreamIsReadToItsEnd() throws {
        let ends = try VarveFiles.Pipe()
        let (input, output) = (dup(ends.reading.descriptor), dup(ends.writing.descriptor))
        _ = consume ends
        let writer = try WorkerThread {
            let file = File(descriptor: output, path: "pipe")
            for number in 0..<200 {
                let piece = [UInt8](repeating: UInt8(number), count: 999)
                try? piece.withUnsafeBytes { try file.write($0) }
            }
        }
        let file = File(descriptor: input, path: "pipe")
        let whole = (0..<200).flatMap { [UInt8](repeating: UInt8($0), count: 999) }
        #expect(try file.readStream(limit: 10_000) == Array(whole.prefix(10_000)), "cut off at the limit")
        #expect(try file.readStream(limit: 1 << 20) == Array(whole.dropFirst(10_000)))
        #expect(try file.readSome().isEmpty)
        #expect(try file.waitReadable(milliseconds: 0), "the end can be read")
        writer.join()
    }

    @Test func waitingForAPipe() throws {
        let pipe = try VarveFiles.Pipe()
        #expect(try !pipe.reading.waitReadable(milliseconds: 0))
        let start = Clock.monotonic()
        #expect(try !pipe.reading.waitReadable(milliseconds: 20))
        #expect(Clock.monotonic() - start >= 20_000_000)
        try [UInt8(1)].withUnsafeBytes { try pipe.writing.write($0) }
        #expect(try pipe.reading.waitReadable(milliseconds: 60_000))
        #expect(try pipe.reading.readSome() == [1])
    }
}
