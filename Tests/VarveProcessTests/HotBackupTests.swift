import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// Hot backups under a saturated writer: each is restored, recovered and verified, and holds everything
    /// that had committed when the reading of its logs' end began.
    @Suite struct HotBackupTests {
        /// Of each configuration: 17 of them make 51, and 1003 in the long run.
        static let backups = Executable.isSoak ? 59 : 3
        /// Restores of one writer's run; a run is not to fill the disk.
        static let backupsOfOneRun = 10

        @Test(arguments: EnvironmentConfiguration.all)
        func everyBackupIsWhole(_ configuration: EnvironmentConfiguration) throws {
            var random = SeededGenerator(for: configuration.name)
            var left = Self.backups
            while left > 0 {
                let count = min(left, Self.backupsOfOneRun)
                try backUpAndRestore(configuration, count: count, &random)
                left -= count
            }
        }

        /// Of a queue that is appended to and consumed, the extent of the next record is often not there: libdb then
        /// takes the queue for missing, and the backup has to try again.
        @Test func aQueueWhoseLastExtentComesAndGoes() throws {
            let environment = try LiveEnvironment(
                .init("queue", "btree,hash,queue", options: "--records 500 --page-size 512 --queue-extent 4"))
            for _ in 0..<(Executable.isSoak ? 25 : 12) { _ = try environment.goodBackup() }
            try environment.requireFlagsAsBefore()
            try environment.workload.stop()
            _ = try environment.workload.check(environment.restore("latest"))
        }

        private func backUpAndRestore(
            _ configuration: EnvironmentConfiguration, count: Int, _ random: inout SeededGenerator
        ) throws {
            let environment = try LiveEnvironment(
                configuration, seed: .random(in: 1...1 << 40, using: &random))
            let start = Clock.monotonic()
            var taken: [(backup: BackupOutput, committed: UInt64)] = []
            for _ in 0..<count {
                let backup = try environment.goodBackup()
                let recovery = try #require(backup.recovery)
                #expect(backup.warnings.allSatisfy { $0.code == "encrypted-logs" }, "\(backup.warnings)")
                taken.append((backup, try environment.workload.committed(at: recovery.restoresTo)))
                sleep(milliseconds: .random(in: 0...400, using: &random))
            }
            let checkpoint = try environment.workload.longestCheckpoint(since: start)
            try environment.requireFlagsAsBefore()
            let written = try environment.workload.stop()
            // In 1 s steps under a saturated writer; `CheckpointTests` has the promise.
            #expect(checkpoint < 10)

            for (number, (_, committed)) in taken.enumerated() {
                let restored = try environment.restore(String(number + 1))
                let seq = try environment.workload.check(restored)
                #expect(seq >= committed, "backup \(number + 1) came back without what had committed")
                #expect(seq <= written)
                #expect(committed > 0)
                if number == 0 { try verifyByItsOwnTool(restored, configuration) }
                try Directory.removeTree(restored)
            }
            print(
                "\(configuration.name): \(count) backups, the last of \(taken.last?.committed ?? 0) transactions;",
                "longest checkpoint \(checkpoint) s")
        }

        /// By the vendor's program, not by ours.
        private func verifyByItsOwnTool(_ home: String, _ configuration: EnvironmentConfiguration) throws {
            // It would want the password in its arguments.
            guard !configuration.isEncrypted else { return }
            let files = try FileTree.files(in: home).filter { $0.hasSuffix(".db") && !$0.contains("/__db") }
            #expect(!files.isEmpty)
            for file in files { try run("db5.3_verify", ["-h", home, file]).require(0) }
        }
    }
}
