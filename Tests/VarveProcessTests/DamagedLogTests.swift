import ProcessSupport
import Testing
import VarveDatabase
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// A flipped byte in the newest log looks like its end. What was committed behind it would be missing from the
    /// backup without a word.
    @Suite struct DamagedLogTests {
        private func log(_ home: String, _ number: UInt32) -> String {
            let digits = String(number)
            return Path.join(home, "log." + String(repeating: "0", count: 10 - digits.count) + digits)
        }

        /// Changes bytes of a log, and gives those that were there.
        private func replace(_ path: String, at offset: UInt64, _ bytes: [UInt8]) throws -> [UInt8] {
            let file = try File.open(updating: path)
            var before = bytes
            let count = try before.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
            try #require(count == bytes.count)
            try bytes.withUnsafeBytes { try file.write($0, at: offset) }
            // Whoever has a file open is a user of the environment.
            try file.close()
            return before
        }

        /// Turns one bit in the body of the last record before `end`; twice is as before.
        private func flip(_ home: String, before end: LSN) throws {
            let (path, offset) = (log(home, end.file), UInt64(end.offset) - 4)
            let byte = try replace(path, at: offset, [0])
            _ = try replace(path, at: offset, [byte[0] ^ 0x10])
        }

        /// What does not become whole is no record that is being written.
        @Test func ofALiveEnvironmentIsRefused() throws {
            let environment = try LiveEnvironment(
                .init(
                    "damaged log", "btree,hash",
                    options: "--records 300 --rate 200 --checkpoint-ms 0 --cache 33554432"))
            let before = try environment.goodBackup()
            let end = try #require(before.recovery?.endOfLog)
            try environment.workload.advance(50)

            try flip(environment.home, before: end)
            let refused = try environment.backup().require(1)
            #expect(refused.errors.contains("log file \(end.file) is damaged at offset"), "\(refused)")
            #expect(refused.errors.contains("hint: recovery would end there"), "\(refused)")
            #expect(try environment.varve.snapshots() == [before.snapshot])
            try environment.requireFlagsAsBefore()

            // The control: that one bit was all.
            try flip(environment.home, before: end)
            let after = try environment.goodBackup()
            #expect(try #require(after.recovery?.endOfLog) > end)
            let seq = try environment.workload.committed(at: #require(after.recovery).restoresTo)
            try environment.workload.stop()
            #expect(try environment.workload.check(environment.restore(after.snapshot)) >= seq)
        }

        /// Zeros look like the end of any log; but libdb knows how far it has written.
        @Test func aRecordOfZerosIsRefused() throws {
            let environment = try LiveEnvironment(
                .init("zeros", "btree,hash", options: "--records 300 --rate 200"))
            try environment.workload.stop()
            // Keeps the environment open and does nothing in it for an hour.
            let idle = try RunningProcess("db5.3_checkpoint", ["-h", environment.home, "-p", "60"])
            // The writer's last record was a checkpoint, which libdb itself would miss; the last one of these is of no page.
            let records = environment.directory["records"]
            try Text.write("key\nvalue\n", to: records)
            try run("db5.3_load", ["-T", "-t", "btree", "-f", records, "-h", environment.home, "extra.db"])
                .require(0)
            let before = try environment.goodBackup()
            let end = try #require(before.recovery?.endOfLog)
            let path = log(environment.home, end.file)
            let file = try File.open(reading: path)
            let summary = try LogWalker.walk(number: end.file, size: try file.status().size) {
                (offset, buffer) throws(VarveError) in
                try file.read(into: buffer, at: offset)
            }
            try file.close()
            let start = UInt64(try #require(summary.lastLSN).offset)
            let zeros = [UInt8](repeating: 0, count: Int(UInt64(end.offset) - start))

            let record = try replace(path, at: start, zeros)
            let refused = try environment.backup().require(1)
            #expect(
                refused.errors.contains(
                    "can be read up to \(LSN(file: end.file, offset: UInt32(start))) only, but libdb has written it"
                        + " up to \(end)"), "\(refused)")
            #expect(try environment.varve.snapshots() == [before.snapshot])

            // The control: with that record back in its place nothing is wrong.
            _ = try replace(path, at: start, record)
            #expect(try environment.goodBackup().recovery?.endOfLog == end)
            try idle.killGroup()
        }

        /// Nobody is there to be asked where the log ends: it is stored as it is, and said.
        @Test func ofAClosedEnvironmentTaints() throws {
            let environment = try LiveEnvironment(
                .init("damaged end", "btree,hash", options: "--records 300 --rate 200"))
            try environment.workload.stop()
            let before = try environment.goodBackup(["--offline"])
            let end = try #require(before.recovery?.endOfLog)
            try flip(environment.home, before: end)
            let tainted = try environment.backup(["--offline"]).require(3)
            let backup = try tainted.decode(BackupOutput.self)
            #expect(backup.tainted && backup.warnings.map(\.code) == ["log-torn"], "\(tainted)")
            #expect(tainted.errors.contains("has no valid record at offset"), "\(tainted)")
            #expect(try #require(backup.recovery?.endOfLog) < end)
            #expect(try environment.varve.run(["snapshots"]).output.contains("TAINTED"))
            let restored = try environment.varve.run(
                ["restore", backup.snapshot, "--target", environment.directory["restored"]])
            #expect(restored.code == 3 && restored.errors.contains("tainted"), "\(restored)")
        }
    }
}
