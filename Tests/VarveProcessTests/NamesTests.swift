import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// An application that creates, renames, removes, truncates and rebuilds its databases while it is backed up.
    @Suite struct NamesTests {
        /// 30, and 1000 in the long run.
        static let environments = Executable.isSoak ? 100 : 5
        static let backupsOfEach = Executable.isSoak ? 10 : 6

        /// `bdb-workload names`, and a repository beside its home.
        final class Names {
            let directory: TemporaryDirectory
            let home: String
            let varve: VarveCommand
            let writer: RunningProcess
            private let seed: UInt64

            init(seed: UInt64, _ options: [String] = []) throws {
                self.seed = seed
                directory = try TemporaryDirectory()
                home = directory["environment"]
                varve = try .initialized(directory["repository"])
                let ready = directory["ready"]
                let writer = try RunningProcess(
                    Executable.workload,
                    [
                        "names", "--home", home, "--seed", String(seed), "--ready", ready, "--progress",
                        directory["progress"], "--seconds", "300",
                    ] + options)
                self.writer = writer
                try waitUntil("the first transactions of \(writer.command)", seconds: 60) {
                    guard writer.isRunning else {
                        throw ProcessFailure("it ended: \(try writer.wait(seconds: 1))")
                    }
                    return access(ready, F_OK) == 0
                }
            }

            /// Transactions that had committed at that moment of the monotonic clock.
            func committed(at moment: UInt64) throws -> UInt64 {
                var result: UInt64 = 0
                for line in try Text.read(directory["progress"]).split(separator: "\n") {
                    let words = line.split(separator: " ").compactMap { UInt64($0) }
                    if words.count == 2, words[0] <= moment { result = words[1] }
                }
                return result
            }

            /// The number of the last transaction in it; what differs is an error.
            func check(_ restored: String) throws -> Finished {
                try run(
                    Executable.workload, ["names-check", "--home", restored, "--seed", String(seed)],
                    seconds: 60)
            }
        }

        private struct Check: Decodable { var seq: UInt64 }
        private struct Shown: Decodable { var requires: [String]? }

        @Test func everyBackupHoldsEveryDatabase() throws {
            var random = SeededGenerator(for: "names")
            var (needed, lostByLibdb, named) = (0, 0, 0)
            for _ in 0..<Self.environments {
                let names = try Names(
                    seed: .random(in: 1...1 << 40, using: &random),
                    [
                        "--rate", String([20, 60, 200].randomElement(using: &random) ?? 60),
                        "--checkpoint-ms", String([300, 1000, 4000].randomElement(using: &random) ?? 300),
                        "--log-size", "300000",
                    ])
                for number in 1...Self.backupsOfEach {
                    sleep(milliseconds: .random(in: 0...300, using: &random))
                    let start = Clock.monotonic()
                    let finished = try names.varve.run(["backup", "--json", "--bdb", names.home]).require(
                        0, 3)
                    let backup = try finished.decode(BackupOutput.self)
                    if backup.tainted {
                        // It may say which database is missing, and not keep silent.
                        #expect(
                            backup.warnings.contains { $0.taints && $0.path != nil }, "\(backup.warnings)")
                        named += 1
                        continue
                    }
                    let target = names.directory["restored-\(number)"]
                    try names.varve.run(["restore", "latest", "--target", target, "--recover"]).require(0)
                    let check = try names.check(target)
                    #expect(check.code == 0, "\(check)\n\(backup.warnings)")
                    if check.code == 0 {
                        #expect(try check.decode(Check.self).seq >= names.committed(at: start))
                    }
                    // A plain recovery of the restored environment, as an application may begin with, keeps it so.
                    try run("db5.3_recover", ["-h", target]).require(0)
                    #expect(try names.check(target).code == 0)
                    try Directory.removeTree(target)
                    if try requires(names.varve) != nil {
                        needed += 1
                        // A few are enough of a control.
                        if lostByLibdb < 3, try isLostByLibdb(names, number) { lostByLibdb += 1 }
                    }
                }
                try names.writer.terminate().require(0)
            }
            print(
                "\(needed) needed recovery by uid, libdb alone lost databases of \(lostByLibdb); \(named) named what is missing"
            )
            // The control: without it, databases are lost with exit code 0.
            #expect(needed > 0 && lostByLibdb > 0)
        }

        private func requires(_ varve: VarveCommand) throws -> [String]? {
            try varve.run(["show", "latest", "--json"]).require(0).decode(Shown.self).requires
        }

        /// The same snapshot, recovered as libdb does it.
        private func isLostByLibdb(_ names: Names, _ number: Int) throws -> Bool {
            let target = names.directory["plain-\(number)"]
            try names.varve.run(["restore", "latest", "--target", target]).require(0)
            defer { try? Directory.removeTree(target) }
            let recovered = try run("db5.3_recover", ["-c", "-h", target])
            return try recovered.code != 0 || names.check(target).code != 0
        }
    }
}
