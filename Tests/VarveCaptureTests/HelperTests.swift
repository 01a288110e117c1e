import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveHelperProtocol
import VarveTestSupport

@testable import VarveCapture

/// The helper and its client on live environments under a saturated writer.
@Suite(.serialized)
struct HelperTests {
    /// Writer, options, and what the check needs to know of them.
    struct Layout: CustomTestStringConvertible {
        var testDescription: String
        var options: [String]

        init(_ name: String, _ options: String) {
            testDescription = name
            self.options = options.split(separator: " ").map(String.init)
        }
    }

    static let layouts = [
        Layout("btree and hash", "--methods btree,hash"),
        Layout("512", "--methods btree,hash --page-size 512 --checksum --records 4000"),
        Layout("64 KiB", "--methods btree,hash --page-size 65536 --checksum --cache 1048576"),
        Layout("big-endian", "--methods btree,hash --byte-order 4321 --checksum"),
        Layout("recno and queue", "--methods recno,queue"),
        Layout("queue extents", "--methods btree,queue --queue-extent 16"),
        Layout("several in a file", "--methods btree,hash --multi"),
        Layout("registered", "--methods btree,hash --register --recover"),
    ]

    @Test(arguments: layouts)
    func whatIsCapturedRecovers(_ layout: Layout) throws {
        let directory = try TemporaryHome("capture")
        let writer = try Writer(directory, layout.options)
        // Until then most pages are in the cache alone, and the logs would do without the copy.
        while try writer.checkpointTimes().ended.count < 2 { usleep(20_000) }
        let copy = try ByHand(writer.home, directory["target"])
        let lock = try EnvironmentLock(home: writer.home)
        let helper = try BerkeleyDBHelper(
            copy.environment, lock: lock, executable: try program("varve-capture-bdb"))
        try helper.join()
        let facts = try helper.preflight()
        #expect(facts.hotBackups == 0)
        let checkpoint = try helper.begin()
        #expect(try helper.preflight().hotBackups == 1)
        let statistics = try copy.writePieces(helper)
        #expect(statistics.bytes > 0)
        print("\(layout.testDescription): \(statistics)")
        try copy.copyLogs(from: checkpoint?.checkpointLSN.file ?? 1)
        try helper.end()
        #expect(try helper.preflight().hotBackups == 0)
        try helper.close()
        #expect(try FileStatus.of(Path.join(writer.home, ".varve/journal")) == nil)
        #expect(try writer.stop().status == .exited(0))

        let restored = try BerkeleyDBHelper(
            CaptureEnvironment(home: copy.target), lock: nil, executable: try program("varve-capture-bdb"))
        var percents: [Int] = []
        try restored.recover { percents.append($0) }
        #expect(!percents.isEmpty)
        let verdicts = try restored.verify(copy.names)
        #expect(verdicts.count == copy.names.count)
        for verdict in verdicts { #expect(verdict.code == 0, "\(verdict)") }
        try restored.close()
        #expect(!(try Directory.list(copy.target)).contains { $0.hasPrefix("__db.") })
        let options = layout.options.filter { $0 != "--register" && $0 != "--recover" }
        let check = try Program.workload(["check", "--home", copy.target] + options).finish()
        #expect(check.status == .exited(0), "\(check.output)")
    }

    @Test func anEncryptedEnvironmentNeedsItsPassword() throws {
        let directory = try TemporaryHome("encrypted")
        let password = try temporaryPassword(directory, "sesame")
        let options = ["--methods", "btree,hash", "--encrypt", password]
        let writer = try Writer(directory, options)
        let helperProgram = try program("varve-capture-bdb")
        for wrong in [nil, "open"] {
            let helper = try BerkeleyDBHelper(
                CaptureEnvironment(home: writer.home), password: wrong.map { Array($0.utf8) }, lock: nil,
                executable: helperProgram)
            expect(.wrongKey) { try helper.join() }
            try helper.close()
        }
        let copy = try ByHand(writer.home, directory["target"])
        let helper = try BerkeleyDBHelper(
            copy.environment, password: Array("sesame".utf8), lock: nil, executable: helperProgram)
        try helper.join()
        #expect(try helper.preflight().encrypted)
        // The record of the checkpoint is read through libdb, since the log is ciphertext too.
        let checkpoint = try helper.begin()
        _ = try copy.writePieces(helper)
        try copy.copyLogs(from: checkpoint?.checkpointLSN.file ?? 1)
        try helper.close()
        _ = try writer.stop()
        let restored = try BerkeleyDBHelper(
            CaptureEnvironment(home: copy.target), password: Array("sesame".utf8), lock: nil,
            executable: helperProgram)
        try restored.recover()
        for verdict in try restored.verify(copy.names) { #expect(verdict.code == 0, "\(verdict)") }
        try restored.close()
        let check = try Program.workload(["check", "--home", copy.target] + options).finish()
        #expect(check.status == .exited(0), "\(check.output)")
    }

    @Test func aSlowConsumerDoesNotHoldCheckpoints() throws {
        let directory = try TemporaryHome("slow")
        let writer = try Writer(
            directory, ["--methods", "btree,hash", "--records", "20000", "--checkpoint-ms", "200"])
        let copy = try ByHand(writer.home, directory["target"])
        let helper = try BerkeleyDBHelper(
            copy.environment, lock: nil, executable: try program("varve-capture-bdb"), slots: 4)
        try helper.join()
        let before = try writer.checkpointTimes().ended.count
        let checkpoint = try helper.begin()
        let statistics = try copy.writePieces(helper) { offset in
            usleep(offset >> 20 & 7 == 3 ? 2_000_000 : 50_000)
        }
        try copy.copyLogs(from: checkpoint?.checkpointLSN.file ?? 1)
        try helper.close()
        usleep(500_000)
        let times = try writer.checkpointTimes()
        #expect(statistics.interruptions > 0)
        let during = times.ended.dropFirst(before)
        #expect(during.count > 3)
        #expect(during.max() ?? .infinity < 3000)
        #expect(times.running ?? 0 < 3000)
        print("slow consumer: \(statistics), \(during.count) checkpoints, longest \(during.max() ?? 0) ms")
        _ = try writer.stop()
        let restored = try BerkeleyDBHelper(
            CaptureEnvironment(home: copy.target), lock: nil, executable: try program("varve-capture-bdb"))
        try restored.recover()
        try restored.close()
        let check = try Program.workload(["check", "--home", copy.target, "--methods", "btree,hash"]).finish()
        #expect(check.status == .exited(0), "\(check.output)")
    }

    @Test func aConsumerThatThrowsLeavesNothingBehind() throws {
        let directory = try TemporaryHome("throws")
        let writer = try Writer(
            directory, ["--methods", "btree,hash", "--auto-remove", "--records", "60000"])
        let helper = try BerkeleyDBHelper(
            CaptureEnvironment(home: writer.home), lock: nil, executable: try program("varve-capture-bdb"))
        try helper.join()
        #expect(try helper.preflight().autoRemove)
        _ = try helper.begin()
        #expect(!(try helper.preflight().autoRemove))
        var pieces = 0
        expect(.refused) {
            try helper.capture("btree1.db") { (piece) throws(VarveError) in
                if case .bytes = piece { pieces += 1 }
                if pieces == 2 { throw VarveError(.refused, "full") }
            }
        }
        let after = try helper.preflight()
        #expect(after.hotBackups == 0)
        #expect(after.autoRemove)
        #expect(try FileStatus.of(Path.join(writer.home, ".varve/journal")) == nil)
        try helper.close()
        let checkpoint = try Program.workload(["checkpoint", "--home", writer.home])
        #expect(try checkpoint.finish(within: 5)?.status == .exited(0))
        _ = try writer.stop()
    }
}
