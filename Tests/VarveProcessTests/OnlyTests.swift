import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// Single databases out of a live environment. Recovery makes others anew when their creation is still in the
    /// stored logs, so what a snapshot holds is seen before it.
    @Suite struct OnlyTests {
        @Test func aDatabaseAlone() throws {
            let environment = try LiveEnvironment(
                .init("only", "btree,hash,recno", options: "--records 2000"))
            try environment.workload.advance(1000)
            let backup = try environment.goodBackup(["--only", "hash2.db"])
            let whole = try environment.goodBackup()
            let later = try environment.goodBackup(["--only", "hash2.db"])
            try environment.workload.stop()
            try Self.requireMarks(environment.varve, partial: later.snapshot, whole: whole.snapshot)
            #expect(try Self.databases(environment.restore(backup.snapshot, recover: false)) == ["hash2.db"])
            let restored = try environment.restore(backup.snapshot)
            try run("db5.3_verify", ["-h", restored, "hash2.db"]).require(0)
            let records = try run("db5.3_dump", ["-h", restored, "hash2.db"]).require(0).output
            #expect(records.split(separator: "\n").count > 4000)
        }

        /// The two that carry the invariant, without the third.
        @Test func whatWasAskedForIsWhole() throws {
            let environment = try LiveEnvironment(
                .init("only", "btree,hash,recno", place: "--subdir", options: "--records 2000 --checksum"))
            try environment.workload.advance(1000)
            let backup = try environment.goodBackup(["--only", "sub/btree1.db", "--only", "sub/hash2.db"])
            let recovery = try #require(backup.recovery)
            let committed = try environment.workload.committed(at: recovery.restoresTo)
            try environment.workload.stop()
            let files = try environment.restore(backup.snapshot, recover: false)
            #expect(try Self.databases(Path.join(files, "sub")) == ["btree1.db", "hash2.db"])
            let restored = try environment.restore(backup.snapshot)
            let seq = try Workload.check(restored, layout: ["--methods", "btree,hash", "--subdir"])
            #expect(seq >= committed)
        }

        /// A queue's extents come along.
        @Test func aQueueWithItsExtents() throws {
            let environment = try LiveEnvironment(
                .init(
                    "only", "queue,queue,btree", options: "--records 2000 --page-size 1024 --queue-extent 16")
            )
            try environment.workload.advance(1000)
            let backup = try environment.goodBackup(["--only", "queue1.db", "--only", "queue2.db"])
            try environment.workload.stop()
            let files = try Directory.list(environment.restore(backup.snapshot, recover: false))
            #expect(files.contains { $0.hasPrefix("__dbq.queue1.db.") })
            let restored = try environment.restore(backup.snapshot)
            _ = try Workload.check(restored, layout: ["--methods", "queue,queue"])
        }

        @Test func anUnknownNameIsRefusedWithTheNearestOnes() throws {
            let environment = try LiveEnvironment(.init("only", "btree,hash", options: "--records 500"))
            let refused = try environment.backup(["--only", "btree9.db"]).require(1)
            #expect(refused.errors.contains("did you mean btree1.db"), "\(refused)")
            #expect(try environment.varve.snapshots().isEmpty)
            try environment.requireFlagsAsBefore()
            try environment.workload.stop()
        }

        /// Wherever it is shown, it is told from a whole one; `latest` is the whole one, although it is older.
        private static func requireMarks(
            _ varve: VarveCommand, partial: String, whole: String
        ) throws {
            for (arguments, marks) in [
                (["snapshots"], 2), (["snapshots", "--json"], 2), (["ls", partial], 1),
                (["show", partial], 1),
                (["show", "--json", partial], 2), (["stats", partial], 1), (["ls"], 0), (["show"], 0),
                (["restore", partial, "--target", "/tmp/absent", "--dry-run"], 1),
                (["restore", partial, "--target", "/tmp/absent", "--dry-run", "--json"], 2),
                (["restore", whole, "--target", "/tmp/absent", "--dry-run"], 0),
            ] {
                let text = try varve.run(arguments).require(0).output
                let found = ["PARTIAL", "\"partial\" : true", "\"only\" : ["].map { mark in
                    text.split(separator: "\n").count { $0.contains(mark) }
                }
                #expect(found.reduce(0, +) == marks, "\(arguments): \(text)")
            }
            let status = try varve.run(["status"]).output
            #expect(status.contains("newest    \(whole)"), "\(status)")
        }

        private static func databases(_ home: String) throws -> [String] {
            try Directory.list(home).filter { $0.hasSuffix(".db") && !$0.hasPrefix("__") }
        }
    }
}
