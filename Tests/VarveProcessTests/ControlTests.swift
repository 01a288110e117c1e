import Glibc
import ProcessSupport
import Testing
import VarveDatabase
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// The ways that are wrong fail, so the tests of the right way can fail.
    @Suite struct ControlTests {
        /// Plain reads of a live environment give torn pages, except on XFS; with libdb in between there are none.
        /// Locks have no part in it: an application without them writes pages through the same cache.
        @Test(
            .needsTemporaryFiles(notOn: .xfs, "page reads are atomic on XFS"),
            arguments: ["", " --no-locking"])
        func plainReadsTear(_ locking: String) throws {
            let environment = try LiveEnvironment(
                .init(
                    "torn", "btree,hash",
                    options: "--records 4000 --page-size 65536 --checksum --cache 2000000 --checkpoint-ms 100"
                        + locking))
            let path = Path.join(environment.home, "btree1.db")
            var torn: UInt64 = 0
            var read: UInt64 = 0
            try waitUntil("a torn page among plain reads", seconds: 90, every: 0) {
                let result = try Self.plainRead(path)
                torn += result.badPages.count { $0.reason == .checksum } > 0 ? 1 : 0
                read += result.pageCount
                return torn > 0
            }
            print("plainReadsTear: torn after \(read) pages of 64 KiB")
            for _ in 0..<3 { _ = try environment.goodBackup() }
            try environment.workload.stop()
            // It was the writer, not the check: at rest nothing is wrong.
            #expect(try Self.plainRead(path).badPages.isEmpty)
        }

        private static func plainRead(_ path: String) throws -> PageRunResult {
            let file = try File.open(reading: path)
            let size = Int(try file.status().size)
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(size, 65536), alignment: 4096)
            defer { bytes.deallocate() }
            let count = try file.read(into: bytes, at: 0) / 65536 * 65536
            let whole = UnsafeRawBufferPointer(rebasing: bytes[..<count])
            guard let header = try DatabaseHeader.probe(UnsafeRawBufferPointer(rebasing: whole.prefix(512)))
            else { throw ProcessFailure("page 0 of \(path) is no header") }
            var result = PageRunResult()
            PageChecker(header: header).check(run: whole, firstPage: PageNumber(0), into: &result)
            return result
        }

        /// Databases that are newer than their logs do not come up.
        @Test func logsBeforeDatabasesFail() throws {
            let environment = try LiveEnvironment(
                .init("logs first", "btree,hash", options: "--records 1000 --log-size 300000"))
            let early = environment.directory["early-logs"]
            try Directory.create(early)
            for log in try FileTree.logs(in: environment.home) {
                try run("cp", [log, early]).require(0)
            }
            // Only a checkpoint brings pages to disk for certain; the first that ends may have begun before.
            let copied = Clock.monotonic()
            try waitUntil("two checkpoints", every: 20_000) {
                try environment.workload.checkpointCount(since: copied) >= 2
            }
            let backup = try environment.goodBackup()
            try environment.workload.stop()
            let restored = try environment.restore(backup.snapshot, recover: false)

            let good = environment.directory["with-its-own-logs"]
            try run("cp", ["-a", restored, good]).require(0)
            try run("db5.3_recover", ["-c", "-h", good]).require(0)
            _ = try environment.workload.check(good)

            for log in try FileTree.logs(in: restored) { try Directory.removeFile(log) }
            for log in try FileTree.logs(in: early) { try run("cp", [log, restored]).require(0) }
            let recovery = try run("db5.3_recover", ["-c", "-h", restored])
            let words = recovery.output + recovery.errors
            #expect(recovery.code != 0)
            #expect(words.contains("past end of log"), "\(words)")
        }

        /// The vendor's recovery does not see that the first needed log is missing, or not always.
        @Test func recoveryWithoutANeededLogIsWrong() throws {
            let environment = try LiveEnvironment(
                .init(
                    "withheld", "btree,hash", options: "--records 1000 --log-size 300000 --checkpoint-ms 1500"
                ))
            try environment.workload.advance(3000)
            let backup = try environment.goodBackup()
            let recovery = try #require(backup.recovery)
            try environment.workload.stop()
            let restored = try environment.restore(backup.snapshot, recover: false)
            try #require(recovery.firstLog < recovery.lastLog)
            try Directory.removeFile(Path.join(restored, Self.logName(recovery.firstLog)))
            let finished = try run("db5.3_recover", ["-c", "-h", restored])
            let isWhole = (try? environment.workload.check(restored)) != nil
            print(
                "recoveryWithoutANeededLogIsWrong: db5.3_recover -c \(finished.status), data whole: \(isWhole)"
            )
            #expect(finished.code != 0 || !isWhole)
        }

        /// Why coverage has to be proved by whoever makes the backup: here the logs that one database needs are
        /// withheld, the vendor's recovery ends well, its verification too, and committed records are missing.
        @Test func recoveryCanEndWellWithStaleData() throws {
            let environment = try LiveEnvironment(
                .init("stale", "btree,hash", options: "--records 500 --log-size 300000 --checkpoint-ms 200"))
            try Self.load(1...100, into: environment)
            let early = try environment.goodBackup()
            try Self.load(101...200, into: environment)
            let loaded = Clock.monotonic()
            try waitUntil("logs that begin later", seconds: 60, every: 20_000) {
                try environment.workload.checkpointCount(since: loaded) >= 3
            }
            let late = try environment.goodBackup()
            try environment.workload.stop()
            #expect(try Self.count(environment.restore(late.snapshot)) == 200)

            let mixed = try environment.restore(late.snapshot, recover: false)
            let old = try environment.restore(early.snapshot, recover: false)
            try run("cp", [Path.join(old, "extra.db"), mixed]).require(0)
            try run("db5.3_recover", ["-c", "-h", mixed]).require(0)
            try run("db5.3_verify", ["-h", mixed, "extra.db"]).require(0)
            #expect(try Self.count(mixed) == 100)
        }

        /// Another process of the application puts records into a database of its own.
        private static func load(_ numbers: ClosedRange<Int>, into environment: LiveEnvironment) throws {
            let file = environment.directory["records"]
            try Text.write(numbers.map { "key \($0)\nvalue \($0)\n" }.joined(), to: file)
            try run("db5.3_load", ["-T", "-t", "btree", "-f", file, "-h", environment.home, "extra.db"])
                .require(0)
        }

        private static func count(_ home: String) throws -> Int {
            let lines = try run("db5.3_dump", ["-p", "-h", home, "extra.db"]).require(0).output
            return lines.split(separator: "\n").count { $0.hasPrefix(" key") }
        }

        /// A log that recovery needs is not in the live home: nothing is stored.
        @Test(arguments: [0, 1] as [UInt32])
        func aMissingLogIsRefused(_ after: UInt32) throws {
            let environment = try LiveEnvironment(
                .init("gap", "btree,hash", options: "--records 500 --log-size 300000 --checkpoint-ms 0"))
            try waitUntil("several logs") { try FileTree.logs(in: environment.home).count > 4 }
            let before = try environment.goodBackup()
            let first = try #require(before.recovery?.firstLog)
            let log = Path.join(environment.home, Self.logName(first + after))
            try Directory.rename(log, to: environment.directory["withheld"])
            let refused = try environment.backup().require(1)
            let named = ["log file \(first + after)", Self.logName(first + after)]
            #expect(named.contains { refused.errors.contains($0) }, "\(refused)")
            #expect(refused.errors.contains("hint"), "\(refused)")
            #expect(try environment.varve.snapshots() == [before.snapshot])
            try environment.requireFlagsAsBefore()

            // Back in its place, all is well again.
            try Directory.rename(environment.directory["withheld"], to: log)
            let backup = try environment.goodBackup()
            try environment.workload.stop()
            _ = try environment.workload.check(environment.restore(backup.snapshot))
        }

        private static func logName(_ number: UInt32) -> String {
            let digits = String(number)
            return "log." + String(repeating: "0", count: 10 - digits.count) + digits
        }
    }
}
