import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveHelperProtocol

@testable import VarveCapture

/// The built programs: `VARVE_BIN_DIR`, else beside the test bundle.
func program(_ name: String) throws -> String {
    if let directory = getenv("VARVE_BIN_DIR") { return Path.join(String(cString: directory), name) }
    // swift test runs the bundle through a tool of its own, so look upwards from where the bundle lies.
    var directory = Path.parent(try Path.resolve(CommandLine.arguments[0]))
    for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
        directory = Path.parent(try Path.resolve(argument))
    }
    return Path.join(directory, name)
}

/// Removed with everything in it when the last reference goes.
final class TemporaryHome {
    let path: String

    init(_ name: String) throws {
        path = "/tmp/varve-\(name)-\(String(UInt64.random(in: 0 ... .max), radix: 36))"
        try Directory.create(path)
    }

    deinit { try? Directory.removeTree(path) }

    subscript(_ name: String) -> String { Path.join(path, name) }
}

struct Finished {
    var status: ChildProcess.Status
    var output: String
}

/// A program with its output in memory.
final class Program {
    let child: ChildProcess
    private let output: File

    init(_ executable: String, _ arguments: [String]) throws {
        output = try File.memory("output")
        let nothing = try File.open(reading: "/dev/null")
        child = try ChildProcess(
            executable, arguments: arguments,
            environment: ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            descriptors: [(nothing.descriptor, 0), (output.descriptor, 1), (output.descriptor, 2)])
    }

    static func workload(_ arguments: [String]) throws -> Program {
        try Program(try program("bdb-workload"), arguments)
    }

    func finish() throws -> Finished {
        let status = try child.wait()
        return Finished(
            status: status, output: String(decoding: try output.readAll(limit: 1 << 24), as: UTF8.self))
    }

    /// Nil if it is still running after the time.
    func finish(within seconds: Double) throws -> Finished? {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ProcessTable.startTime(of: child.process) != nil {
            if ContinuousClock.now >= deadline { return nil }
            usleep(5000)
        }
        return try finish()
    }
}

/// An application that writes as fast as it can.
final class Writer {
    let home: String
    let checkpoints: String
    private let program: Program
    private var isStopped = false

    init(_ directory: TemporaryHome, _ options: [String] = [], wrapper: [String] = []) throws {
        home = directory["home"]
        checkpoints = directory["checkpoints"]
        let ready = directory["ready"]
        try? Directory.create(home)
        let command =
            [
                try VarveCaptureTests.program("bdb-workload"), "run", "--home", home, "--ready", ready,
                "--checkpoint-log", checkpoints, "--seconds", "120",
            ] + options
        let all = wrapper + command
        program = try Program(all[0], Array(all.dropFirst()))
        let deadline = ContinuousClock.now + .seconds(60)
        while try FileStatus.of(ready) == nil {
            if ContinuousClock.now >= deadline || ProcessTable.startTime(of: program.child.process) == nil {
                isStopped = true
                try? program.child.send(signal: SIGKILL)
                throw VarveError(.invalid, "the writer did not start: \(try program.finish().output)")
            }
            usleep(10_000)
        }
    }

    func stop() throws -> Finished {
        isStopped = true
        try program.child.send(signal: SIGTERM)
        if let finished = try program.finish(within: 20) { return finished }
        try program.child.send(signal: SIGKILL)
        throw VarveError(.invalid, "the writer did not stop")
    }

    func kill() throws {
        isStopped = true
        try program.child.send(signal: SIGKILL)
        _ = try program.finish()
    }

    deinit {
        guard !isStopped else { return }
        try? program.child.send(signal: SIGKILL)
        _ = try? program.finish()
    }

    /// Durations of the checkpoints that ended, and how long one has been running by now.
    func checkpointTimes() throws -> (ended: [Double], running: Double?) {
        // The writer makes the file with its first checkpoint.
        guard try FileStatus.of(checkpoints) != nil else { return ([], nil) }
        let text = String(
            decoding: try File.open(reading: checkpoints).readAll(limit: 1 << 24), as: UTF8.self)
        var ended: [Double] = []
        var started: UInt64?
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2 else { continue }
            if words[0] == "start" {
                started = UInt64(words[1])
            } else if let milliseconds = Double(words[1]) {
                ended.append(milliseconds)
                started = nil
            }
        }
        return (ended, started.map { Double(Clock.monotonic() - $0) / 1e6 })
    }
}

extension Writer {
    func flags() throws -> String { try Program.workload(["flags", "--home", home]).finish().output }
}

func kill9(_ helper: HelperProcess) throws {
    try helper.kill(SIGKILL)
    #expect(try helper.wait() == .killed(signal: SIGKILL))
}

/// Nothing of a backup is left, and checkpoints go on.
func expectUntouched(_ writer: Writer) throws {
    let flags = try writer.flags()
    #expect(flags.contains("\"hot_backup\":false"), "\(flags)")
    #expect(flags.contains("\"auto_remove\":true"), "\(flags)")
    #expect(try FileStatus.of(Path.join(writer.home, ".varve/journal")) == nil)
    let checkpoint = try Program.workload(["checkpoint", "--home", writer.home])
    // Far beyond what one takes beside the writer's own; how long that may be, `CheckpointTests` says.
    let finished = try #require(try checkpoint.finish(within: 15), "the checkpoint hangs")
    #expect(finished.status == .exited(0), "\(finished.output)")
    // The application's own checkpoints go on too.
    let before = try writer.checkpointTimes().ended.count
    let deadline = ContinuousClock.now + .seconds(20)
    while try writer.checkpointTimes().ended.count < before + 2 {
        if ContinuousClock.now > deadline {
            Issue.record("no two checkpoints ended in 20 s")
            return
        }
        usleep(20_000)
    }
}

func undo(_ writer: Writer, _ limits: HelperLimits = HelperLimits()) throws -> UnwedgeReport {
    try unwedge(
        CaptureEnvironment(home: writer.home), executable: try program("varve-capture-bdb"), limits: limits)
}

/// A backup, recovered and verified.
func expectBackup(_ writer: Writer, _ directory: TemporaryHome) throws {
    let copy = try ByHand(writer.home, directory["target"])
    let lock = try EnvironmentLock(home: writer.home)
    let helper = try BerkeleyDBHelper(
        copy.environment, lock: lock, executable: try program("varve-capture-bdb"))
    try helper.join()
    _ = try helper.preflight()
    let checkpoint = try helper.begin()
    #expect(try copy.writePieces(helper).bytes > 0)
    try copy.copyLogs(from: checkpoint?.checkpointLSN.file ?? 1)
    try helper.close()
    let restored = try BerkeleyDBHelper(
        CaptureEnvironment(home: copy.target), lock: nil, executable: try program("varve-capture-bdb"))
    try restored.recover()
    for verdict in try restored.verify(copy.names) { #expect(verdict.code == 0, "\(verdict)") }
    try restored.close()
    let check = try Program.workload(["check", "--home", copy.target] + HelperDeathTests.layout).finish()
    #expect(check.status == .exited(0), "\(check.output)")
}

/// As the hint of a stuck helper says. The application hangs and can't even be asked to stop.
func recover(_ writer: Writer) throws {
    try writer.kill()
    let recovery = try Program("/usr/bin/db5.3_recover", ["-h", writer.home])
    let finished = try #require(try recovery.finish(within: 60), "recovery hangs")
    #expect(finished.status == .exited(0), "\(finished.output)")
    let check = try Program.workload(["check", "--home", writer.home] + HelperDeathTests.layout).finish()
    #expect(check.status == .exited(0), "\(check.output)")
}

/// A backup put together from the helper's client by hand: databases, then logs.
struct ByHand {
    var environment: CaptureEnvironment
    var target: String
    var names: [String]
    var logDirectory: String

    init(_ home: String, _ target: String) throws {
        environment = CaptureEnvironment(home: home)
        self.target = target
        logDirectory = home
        names = try Directory.list(home).filter { $0.hasSuffix(".db") && !$0.hasPrefix("__db") }
        try Directory.create(target)
    }

    func writePieces(
        _ helper: BerkeleyDBHelper, slow: (UInt64) -> Void = { _ in }
    ) throws -> BerkeleyDBHelper.Statistics {
        var total = BerkeleyDBHelper.Statistics()
        for name in names {
            var path = ""
            var last: UInt64 = 0
            let one = try helper.capture(name) { (piece) throws(VarveError) in
                switch piece {
                case .open(let name):
                    path = Path.join(target, name)
                    _ = try File.open(updating: path)
                    last = 0
                case .bytes(let bytes, let offset):
                    guard offset >= last else { throw VarveError(.invalid, "\(offset) after \(last)") }
                    last = offset + UInt64(bytes.count)
                    try File.open(updating: path).write(bytes, at: offset)
                    slow(offset)
                case .close: break
                }
            }
            total.bytes += one.bytes
            total.interruptions += one.interruptions
            total.droppedBytes += one.droppedBytes
        }
        return total
    }

    func copyLogs(from first: UInt32) throws {
        for name in try Directory.list(logDirectory) where name.hasPrefix("log.") && name.count == 14 {
            guard let number = UInt32(name.dropFirst(4)), number >= first else { continue }
            let source = try File.open(reading: Path.join(logDirectory, name))
            let bytes = try source.readAll(limit: 1 << 30)
            try bytes.withUnsafeBytes { try File.create(Path.join(target, name)).write($0, at: 0) }
        }
    }
}

func temporaryPassword(_ directory: TemporaryHome, _ text: String) throws -> String {
    let path = directory["password"]
    try Array((text + "\n").utf8).withUnsafeBytes { try File.create(path).write($0, at: 0) }
    return path
}
