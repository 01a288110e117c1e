import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// Restore, recovery and verification, away from the live files.
    @Suite struct DrillTests {
        private struct Output: Decodable {
            struct Evidence: Decodable {
                struct Database: Decodable {
                    var path: String
                    var good: Bool
                    var pages: UInt64
                    var promisedPages: UInt64
                }
                var snapshot: String
                var good: Bool
                var failures: [String]
                var isolated: Bool
                var covered: [String]
                var endOfLog: LSN?
                var promisedEndOfLog: LSN?
                var databases: [Database]
            }
            var good: Bool
            var drill: Evidence
        }

        private static let small = "--records 300 --rate 500"

        /// A drill in a scratch directory of its own, which must be empty afterwards.
        private func drill(
            _ varve: VarveCommand, _ arguments: [String] = [], code: Int32 = 0
        ) throws -> Output {
            let scratch = try TemporaryDirectory(in: "/var/tmp")
            // The environment's owner works in it.
            chmod(scratch.path, 0o711)
            let finished = try varve.run(
                ["verify", "--drill", "--json", "--scratch", scratch.path] + arguments)
            #expect(finished.code == code, "\(finished)")
            #expect(try Directory.list(scratch.path) == [], "\(finished)")
            return try finished.decode(Output.self)
        }

        private func evidence(_ varve: VarveCommand) throws -> [String] {
            try Directory.list(Path.join(varve.repository, "drills"))
        }

        @Test func aLiveEnvironment() throws {
            let environment = try LiveEnvironment(.init("drill", "btree,hash,queue", options: Self.small))
            let backup = try environment.goodBackup()
            let output = try drill(environment.varve)
            #expect(output.good && output.drill.good && output.drill.failures == [])
            #expect(output.drill.isolated || !Host.isRoot)
            #expect(output.drill.databases.count >= 3)
            #expect(output.drill.databases.allSatisfy { $0.good && $0.pages == $0.promisedPages })
            let end = try #require(backup.recovery?.endOfLog)
            #expect(output.drill.promisedEndOfLog == end)
            #expect(try #require(output.drill.endOfLog) >= end)
            #expect(try evidence(environment.varve).count == 1)
            // The live environment noticed nothing, and goes on.
            try environment.workload.advance(20)
            try environment.workload.stop()
            // Its evidence is an object of the copy like any other.
            try environment.varve.run(["verify"]).require(0)
        }

        /// Wherever the application keeps its files.
        @Test(arguments: [
            "--data-dir data --log-dir logs --subdir", "--data-dir data --log-dir logs --dirs-in-code",
            "--data-dir OUTSIDE/data --log-dir OUTSIDE/logs",
        ]) func directories(_ place: String) throws {
            let outside = try TemporaryDirectory()
            for name in ["data", "logs"] { try Directory.create(outside[name]) }
            let place = place.replacing("OUTSIDE", with: outside.path)
            let environment = try LiveEnvironment(
                .init(
                    "directories", "btree,hash", place: place, options: Self.small,
                    directories: place.hasSuffix("--dirs-in-code") ? "--data-dir data --log-dir logs" : ""))
            _ = try environment.goodBackup()
            try environment.workload.stop()
            let before = try FileTree.files(in: outside.path)
            let output = try drill(environment.varve)
            #expect(output.good && output.drill.failures == [])
            #expect(output.drill.databases.count == 2 && output.drill.databases.allSatisfy(\.good))
            #expect(try FileTree.files(in: outside.path) == before)
        }

        @Test func anEncryptedEnvironment() throws {
            let environment = try LiveEnvironment(
                .init("encrypted", "btree,hash", options: Self.small, password: .file))
            _ = try environment.goodBackup()
            try environment.workload.stop()
            let password = environment.directory["password"]
            let output = try drill(environment.varve, ["--password-file", password])
            #expect(output.good && output.drill.databases.count == 2)
            // Without the right one nothing was found out about the copy.
            let without = try environment.varve.run(["verify", "--drill"])
            #expect(without.code == 12 && without.errors.contains("--password-file"), "\(without)")
            try Text.write("another\n", to: environment.directory["wrong"])
            let wrong = try environment.varve.run([
                "verify", "--drill", "--password-file", environment.directory["wrong"],
            ])
            #expect(wrong.code == 12, "\(wrong)")
            #expect(try evidence(environment.varve).count == 1)
        }

        /// Logs with an absolute name: recovery of a copy elsewhere works on the live file; a drill does not.
        @Test func absoluteNames() throws {
            let environment = try LiveEnvironment(.init("absolute", "btree,hash", options: Self.small))
            let live = Path.join(environment.home, "inside.db")
            let records = environment.directory["records"]
            try Text.write("key\nvalue\n", to: records)
            try run("db5.3_load", ["-T", "-t", "btree", "-f", records, "-h", environment.home, live]).require(
                0)
            let backup = try environment.goodBackup()
            try environment.workload.stop()
            // What recovery writes anew shows that it was there.
            try Directory.removeFile(live)
            let output = try drill(environment.varve)
            #expect(output.drill.good, "\(output.drill.failures)")
            #expect(output.drill.covered.contains(try Path.resolve(environment.home)))
            #expect(output.drill.databases.contains { $0.path == "inside.db" && $0.good })
            #expect(try FileStatus.of(live) == nil, "the drill has touched the live file")
            // A restore is the same.
            let copy = try environment.restore(backup.snapshot)
            #expect(try FileStatus.of(live) == nil, "the recovery has touched the live file")
            // The control: the vendor's recovery, which sees all paths, follows the name.
            let control = try environment.restore(backup.snapshot, recover: false)
            _ = try run("db5.3_recover", ["-c", "-h", control])
            #expect(try FileStatus.of(live) != nil, "recovery does not follow absolute names any more")
            _ = try environment.workload.check(copy)
        }

        /// A snapshot of which a pack is gone: the drill fails, and says so for ever.
        @Test func aDamagedCopy() throws {
            let environment = try LiveEnvironment(.init("damaged", "btree,hash", options: Self.small))
            _ = try environment.goodBackup()
            try environment.workload.stop()
            let packs = try FileTree.files(in: Path.join(environment.varve.repository, "packs"))
            try Directory.removeFile(try #require(packs.first))
            let output = try drill(environment.varve, code: 1)
            #expect(!output.good && !output.drill.good && !output.drill.failures.isEmpty)
            #expect(try evidence(environment.varve).count == 1)
        }

        /// Ctrl-C leaves nothing.
        @Test func interrupted() throws {
            let environment = try LiveEnvironment(
                .init("interrupted", "btree,hash", options: "--records 20000"))
            _ = try environment.goodBackup()
            try environment.workload.stop()
            let scratch = try TemporaryDirectory(in: "/var/tmp")
            chmod(scratch.path, 0o711)
            for pause in [20, 150, 400] as [UInt32] {
                let running = try environment.varve.start(["verify", "--drill", "--scratch", scratch.path])
                sleep(milliseconds: pause)
                running.send(SIGINT)
                let finished = try running.wait(seconds: 60)
                #expect(finished.code == 130 || finished.code == 0, "\(finished)")
                #expect(try Directory.list(scratch.path) == [], "\(finished)")
            }
            // And what kill -9 leaves is cleared away by the next.
            let killed = try environment.varve.start(["verify", "--drill", "--scratch", scratch.path])
            try waitUntil("a scratch directory") { try !Directory.list(scratch.path).isEmpty }
            try killed.killGroup()
            // By the first whose forerunner's helper has ended: it may hold the directory a moment longer.
            try waitUntil("what was killed is cleared away", seconds: 30) {
                try environment.varve.run(["verify", "--drill", "--scratch", scratch.path]).require(0)
                return try Directory.list(scratch.path) == []
            }
        }

        @Test func tooLittleRoom() throws {
            let environment = try LiveEnvironment(.init("full", "btree,hash", options: Self.small))
            _ = try environment.goodBackup()
            try environment.workload.stop()
            let inside = try environment.varve.run(["verify", "--drill", "--scratch", environment.home])
            // Its own home is no place: what is there would be covered.
            #expect(inside.code == 1 || !Host.isRoot, "\(inside)")
            #expect(inside.errors.contains("choose another with --scratch") || !Host.isRoot, "\(inside)")
            #expect(try Directory.list(environment.home).allSatisfy { !$0.hasPrefix("varve-drill-") })
        }
    }
}
