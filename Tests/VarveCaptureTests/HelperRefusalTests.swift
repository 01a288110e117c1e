import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveHelperProtocol
import VarveTestSupport

import enum ProcessSupport.Machine

@testable import VarveCapture

/// What can't be backed up through the helper is refused with its own code, and the application goes on.
@Suite(.serialized)
struct HelperRefusalTests {
    private func refusal(
        _ environment: CaptureEnvironment, password: String? = nil
    ) throws -> VarveError.Code? {
        let helper = try BerkeleyDBHelper(
            environment, password: password.map { Array($0.utf8) }, lock: nil,
            executable: try program("varve-capture-bdb"))
        defer { try? helper.close() }
        do {
            try helper.join()
            _ = try helper.preflight()
            return nil
        } catch {
            #expect(error.code == .library || error.hint != nil, "\(error)")
            return error.code
        }
    }

    @Test func noEnvironment() throws {
        let directory = try TemporaryHome("none")
        #expect(try refusal(CaptureEnvironment(home: directory["absent"])) == .noEnvironment)
        #expect(try refusal(CaptureEnvironment(home: directory.path)) == .noEnvironment)
        #expect(try Directory.list(directory.path) == [])
    }

    @Test func privateRegionsMemoryLogsNoTransactions() throws {
        let cases: [(String, VarveError.Code)] = [
            ("--private", .noEnvironment), ("--in-memory-logs", .memoryLogs), ("--no-txn", .notTransactional),
        ]
        for (option, code) in cases {
            let directory = try TemporaryHome("refused")
            let writer = try Writer(directory, ["--methods", "btree,hash", option])
            #expect(try refusal(CaptureEnvironment(home: writer.home)) == code, "\(option)")
            let finished = try writer.stop()
            #expect(finished.status == .exited(0), "\(option): \(finished.output)")
        }
    }

    @Test func aPasswordTooMany() throws {
        let directory = try TemporaryHome("toomany")
        let writer = try Writer(directory, ["--methods", "btree,hash"])
        #expect(try refusal(CaptureEnvironment(home: writer.home), password: "x") == .wrongKey)
        #expect(try writer.stop().status == .exited(0))
    }

    /// Going on with a wrong log directory panics the application; with the right one all is well.
    @Test func aLogDirectoryThatOnlyTheCodeKnows() throws {
        let directory = try TemporaryHome("logdir")
        let logs = directory["logs"]
        let data = directory["data"]
        try Directory.create(logs)
        try Directory.create(data)
        let options = [
            "--methods", "btree,hash", "--log-dir", logs, "--data-dir", data, "--dirs-in-code",
        ]
        let writer = try Writer(directory, options)
        #expect(try refusal(CaptureEnvironment(home: writer.home)) == .wrongLogDirectory)
        #expect(
            try refusal(CaptureEnvironment(home: writer.home, logDirectory: directory.path))
                == .wrongLogDirectory)
        let environment = CaptureEnvironment(home: writer.home, dataDirectories: [data], logDirectory: logs)
        let helper = try BerkeleyDBHelper(
            environment, lock: nil, executable: try program("varve-capture-bdb"))
        try helper.join()
        let facts = try helper.preflight()
        #expect(facts.logDirectory == logs)
        #expect(facts.dataDirectories == [data])
        while try writer.checkpointTimes().ended.isEmpty { usleep(20_000) }
        #expect(try helper.begin() != nil)
        expect(.missing) { try helper.capture("absent.db") { _ in } }
        #expect(try helper.preflight().hotBackups == 1)
        #expect(try helper.capture("btree1.db") { _ in }.bytes > 0)
        try helper.close()
        #expect(try writer.stop().status == .exited(0))
    }

    /// As root: the helper becomes the owner, and nothing of root's appears in the home.
    @Test(.needsRoot("to become another user")) func rootBecomesTheOwner() throws {
        let directory = try TemporaryHome("owner")
        let home = directory["home"]
        try Directory.create(home, mode: 0o755)
        chmod(directory.path, 0o777)
        chown(home, 65534, 65534)
        let wrapper = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        let writer = try Writer(
            directory, ["--methods", "btree,hash", "--log-size", "1048576"], wrapper: wrapper)
        let lock = try EnvironmentLock(home: home)
        let helper = try BerkeleyDBHelper(
            CaptureEnvironment(home: home), lock: lock, executable: try program("varve-capture-bdb"))
        try helper.join()
        _ = try helper.preflight()
        _ = try helper.begin()
        _ = try helper.capture("btree1.db") { _ in }
        let status = try File.open(reading: "/proc/\(helper.processIdentifier)/status")
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try buffer.withUnsafeMutableBytes { try status.read(into: $0, at: 0) }
        let text = String(decoding: buffer[..<count], as: UTF8.self)
        #expect(text.contains("Uid:\t65534\t65534\t65534\t65534"))
        #expect(text.contains("Gid:\t65534\t65534\t65534\t65534"))
        #expect(text.contains("Groups:\t65534 \n"))
        try helper.close()
        for name in try Directory.list(home) {
            #expect(try FileStatus.of(Path.join(home, name))?.user == 65534, "\(name)")
        }
        #expect(try FileStatus.of(Path.join(home, ".varve"))?.mode == 0o700)
        withExtendedLifetime(lock) {}
        #expect(try writer.stop().status == .exited(0))
    }

    /// Heap regions that end in the middle of a megabyte: what comes after them is no shifted page.
    @Test(arguments: [512, 4096]) func aHeapOfManyRegionsComesWhole(_ pageSize: Int) throws {
        let directory = try TemporaryHome("heap")
        let home = directory["home"]
        try Directory.create(home)
        let generated = try Program.workload([
            "generate", "--home", home, "--records", "200", "--page-size", "4096", "--value-size", "290",
            "--method", "btree", "--keep-regions",
        ]).finish()
        try #require(generated.status == .exited(0), "\(generated.output)")
        var dump = "VERSION=3\nformat=print\ntype=heap\ndb_pagesize=\(pageSize)\nHEADER=END\n"
        for number in 0..<20_000 { dump += " " + String(repeating: "\(number).", count: 50) + "\n" }
        dump += "DATA=END\n"
        let lines = directory["dump"]
        try Array(dump.utf8).withUnsafeBytes { try File.create(lines).write($0, at: 0) }
        let loaded = try Program(
            "/usr/bin/db5.3_load", ["-h", home, "-f", lines, "main.heap"]
        ).finish()
        try #require(loaded.status == .exited(0), "\(loaded.output)")
        // On disk, all of it: the comparison below is with the file.
        let checkpoint = try Program.workload(["checkpoint", "--home", home]).finish()
        try #require(checkpoint.status == .exited(0), "\(checkpoint.output)")
        let helper = try BerkeleyDBHelper(
            CaptureEnvironment(home: home), lock: nil, executable: try program("varve-capture-bdb"))
        try helper.join()
        let file = try File.open(reading: Path.join(home, "main.heap")).readAll(limit: 1 << 30)
        #expect(file.count > 2 << 20)
        var copy = [UInt8](repeating: 0, count: file.count)
        let statistics = try helper.capture("main.heap") { piece in
            guard case .bytes(let bytes, let offset) = piece else { return }
            copy.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[Int(offset)...]).copyMemory(from: bytes)
            }
        }
        #expect(statistics.droppedBytes == 0)
        // Not in the macro: it would describe ten million elements.
        let isWhole = copy == file
        #expect(isWhole)
        try helper.close()
    }
}
