import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension FaultTests {
    /// Calls that fail: an error, or a success that is one.
    @Suite(.serialized, .needs("strace"))
    struct InjectedErrorTests {
        static let errors = ["EIO", "ENOSPC", "EROFS", "EDQUOT", "EMFILE", "ESTALE"]
        static let calls =
            Tracer.changing.filter { $0 != "utimensat" } + ["openat", "openat2", "close", "pread64"]

        private struct Case {
            var call: String
            var error: String
            var when: String
        }

        /// Each call with each error, once and for ever; EINTR once, which must be as if nothing had happened.
        private func cases(_ counts: [(call: String, count: Int)], _ random: inout SeededGenerator) -> [Case]
        {
            var cases: [Case] = []
            for (call, count) in counts {
                for error in Self.errors {
                    for number in sample(count, limit: 2, &random) {
                        cases.append(Case(call: call, error: error, when: "\(number)"))
                        cases.append(Case(call: call, error: error, when: "\(number)+"))
                    }
                }
                if call != "close" { cases.append(Case(call: call, error: "EINTR", when: "\(count)")) }
            }
            if Executable.isSoak { return cases }
            return Array(cases.shuffled(using: &random).prefix(40))
        }

        @Test(.timeLimit(.minutes(60))) func backup() throws {
            let environment = try ClosedEnvironment()
            let directory = environment.directory
            let clean = try environment.copy("clean")
            let arguments = ["--bdb", environment.home, "--offline"]
            let counts = try Tracer.count(
                ["backup", "-r", clean.repository] + arguments, Self.calls, log: directory["log"])
            try clean.run(["restore", "latest", "--target", directory["second"]]).require(0)
            var random = SeededGenerator(for: "errors in a backup")
            var failures = 0
            for one in cases(counts, &random) {
                let comment: Comment = "\(one.call) fails with \(one.error) at \(one.when)"
                let command = try environment.copy("work")
                let finished = try Tracer.start(
                    ["backup", "-r", command.repository] + arguments,
                    [
                        "-e", "trace=\(one.call)", "-e",
                        "inject=\(one.call):error=\(one.error):when=\(one.when)",
                    ],
                    log: directory["log"]
                ).wait(seconds: 60)
                let after = try Stored(command.repository)
                try command.requireGood(comment)
                if finished.code == 0 {
                    #expect(after.manifests.count == 2, "\(comment): a false success: \(finished)")
                    try command.requireRestores("2", as: directory["second"], comment)
                } else {
                    failures += 1
                    #expect(finished.code < 128, "\(comment): \(finished)")
                    // A failing `write` may be that of the message itself.
                    #expect(!finished.errors.isEmpty || one.call == "write", "\(comment): no word of it")
                    try command.requireRestores("1", as: directory["first"], comment)
                    let again = try environment.backup(command)
                    #expect(again.code == 0, "\(comment): \(again)")
                }
            }
            #expect(failures > 10, "only \(failures) of the errors were errors")
        }

        @Test func restoreAndRepository() throws {
            let environment = try ClosedEnvironment()
            let directory = environment.directory
            let target = directory["target"]
            let arguments = ["restore", "-r", environment.base.repository, "1", "--target", target]
            let counts = try Tracer.count(
                arguments, Self.calls.filter { $0 != "pread64" }, log: directory["log"])
            try run("rm", ["-rf", target]).require(0)
            var random = SeededGenerator(for: "errors in a restore")
            for one in cases(counts, &random).prefix(Executable.isSoak ? .max : 50) {
                let comment: Comment = "restore: \(one.call) fails with \(one.error) at \(one.when)"
                let finished = try Tracer.start(
                    arguments,
                    [
                        "-e", "trace=\(one.call)", "-e",
                        "inject=\(one.call):error=\(one.error):when=\(one.when)",
                    ],
                    log: directory["log"]
                ).wait(seconds: 60)
                #expect(finished.code < 128, "\(comment): \(finished)")
                if access(target, F_OK) == 0 {
                    let difference = try run("diff", ["-r", directory["first"], target])
                    #expect(difference.code == 0, "\(comment): \(finished) \(difference)")
                } else {
                    #expect(finished.code != 0, "\(comment): a false success")
                    let again = try environment.base.run(["restore", "1", "--target", target])
                    #expect(again.code == 0, "\(comment): \(again)")
                }
                try run("rm", ["-rf", target, target + ".varve-incomplete"]).require(0)
            }
        }

        /// After a failed `fsync` the pages are gone, whatever a second one says: everything is written once more.
        @Test func failedSyncOfAPack() throws {
            let environment = try ClosedEnvironment()
            let log = environment.directory["log"]
            let command = try environment.copy("work")
            let arguments = ["backup", "-r", command.repository, "--bdb", environment.home, "--offline"]
            var seen = false
            for number in 1...6 where !seen {
                try Tracer.start(
                    arguments,
                    [
                        "-e", "trace=fsync,openat,openat2,unlinkat,renameat2", "-e",
                        "inject=fsync:error=EIO:when=\(number)",
                    ], log: log
                ).wait(seconds: 60)
                let lines = try Text.read(log).split(separator: "\n")
                guard let failed = lines.firstIndex(where: { $0.contains("EIO") && $0.contains("/tmp/") })
                else {
                    continue
                }
                seen = true
                let thread = lines[failed].split(separator: " ")[0]
                let next = lines[(failed + 1)...].filter { $0.hasPrefix(thread) }.prefix(6)
                let text = next.joined(separator: "\n")
                let removed = next.firstIndex { $0.contains("unlinkat(") }
                let made = next.firstIndex { $0.contains("O_CREAT|O_EXCL") }
                #expect(removed != nil && made.map { removed! < $0 } == true, "\(text)")
            }
            try #require(seen, "no file in tmp was synchronised")
            try environment.backup(command).require(0)
            try command.requireGood("after a failed fsync")
        }

        /// What can't be printed was not delivered.
        @Test func fullStandardOutput() throws {
            let environment = try ClosedEnvironment()
            let full = try File.open(updating: "/dev/full")
            for arguments in [["snapshots"], ["ls"], ["show", "--json"]] {
                let running = try environment.base.start(arguments, descriptors: [(full.descriptor, 1)])
                let finished = try running.wait(seconds: 30)
                #expect(finished.code == 1, "\(finished)")
                #expect(finished.errors.contains("standard output"), "\(finished)")
            }
        }
    }
}
