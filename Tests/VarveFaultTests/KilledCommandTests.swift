import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension FaultTests {
    /// SIGKILL on the way into each call that changes something.
    @Suite(.serialized, .needs("strace"))
    struct KilledCommandTests {
        @Test(.timeLimit(.minutes(30))) func backup() throws {
            let environment = try ClosedEnvironment()
            let directory = environment.directory
            let clean = try environment.copy("clean")
            let arguments = ["backup", "-r", clean.repository, "--bdb", environment.home, "--offline"]
            let calls = try Tracer.count(arguments, Tracer.changing, log: directory["log"])
            let expected = try Stored(clean.repository)
            #expect(expected.manifests.count == 2)
            #expect(expected.packs >= 3, "the second state is to fill several packs, has \(expected.packs)")
            try clean.run(["restore", "latest", "--target", directory["second"]]).require(0)

            var random = SeededGenerator(for: "killed backup")
            var killed = 0
            for (call, count) in calls {
                for number in sample(count, limit: 6, &random) {
                    let comment: Comment = "killed at \(call) number \(number) of \(count)"
                    let command = try environment.copy("work")
                    let run = try Tracer.start(
                        ["backup", "-r", command.repository, "--bdb", environment.home, "--offline"],
                        ["-e", "trace=\(call)", "-e", "inject=\(call):signal=KILL:when=\(number)"],
                        log: directory["log"])
                    let finished = try run.wait(seconds: 60)
                    if finished.code != 0 { killed += 1 }
                    try check(command, environment, finished, expected, comment)
                }
            }
            // The order of threads differs between runs: a few numbers may not be reached.
            #expect(killed >= 15, "only \(killed) runs were killed: \(calls)")
        }

        private func check(
            _ command: VarveCommand, _ environment: ClosedEnvironment, _ killed: Finished, _ expected: Stored,
            _ comment: Comment
        ) throws {
            let after = try Stored(command.repository)
            if killed.code == 0 { #expect(after.manifests.count == 2, comment) }
            try command.requireGood(comment)
            try command.requireRestores("1", as: environment.directory["first"], comment)
            let again = try environment.backup(command)
            #expect(again.code == 0, "\(comment): \(again)")
            let converged = try Stored(command.repository)
            #expect(converged.temporary == 0, comment)
            #expect(converged.manifests.count == after.manifests.count + 1, comment)
            // Where packs end may differ, what is in them not.
            #expect(
                converged.packBytes <= expected.packBytes + 64 << 10, "\(comment): packs are stored twice")
            try command.requireGood(comment)
            try command.requireRestores("latest", as: environment.directory["second"], comment)
            try environment.requireClean()
        }

        /// A pack that has its name, and whose directory was never synchronised, is made durable by the next run
        /// before anything refers to it.
        @Test func packNamedAndNoMore() throws {
            let environment = try ClosedEnvironment()
            let log = environment.directory["log"]
            let command = try environment.copy("work")
            let before = try Stored(command.repository).packs
            var named = false
            // The `fsync` behind the `renameat2` of the first pack, on the publishing thread.
            for number in 1...4 where !named {
                try Tracer.start(
                    ["backup", "-r", command.repository, "--bdb", environment.home, "--offline"],
                    ["-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=\(number)"], log: log
                ).wait(seconds: 60)
                named = try Stored(command.repository).packs > before
            }
            try #require(named, "no run was killed behind the naming of a pack")
            let listed = try Stored(command.repository)
            let unlisted = listed.objects.filter { $0.hasPrefix("packs/") }
            try Tracer.start(
                ["backup", "-r", command.repository, "--bdb", environment.home, "--offline"],
                ["-e", "trace=fsync,renameat2"], log: log
            ).wait(seconds: 60).require(0)
            let base = Set(try Stored(environment.base.repository).objects)
            let trace = try Text.read(log)
            let manifest = try #require(trace.range(of: "/manifests>"))
            for pack in unlisted where !base.contains(pack) {
                let shard = "/packs/\(pack.dropFirst(6).prefix(2))>"
                #expect(trace[..<manifest.lowerBound].contains(shard), "\(shard) is not synchronised")
            }
        }

        @Test func makingARepository() throws {
            let directory = try TemporaryDirectory()
            let log = directory["log"]
            let calls = try Tracer.count(["init", "-r", directory["clean"]], Tracer.changing, log: log)
            var random = SeededGenerator(for: "killed init")
            for (call, count) in calls {
                for number in sample(count, limit: 4, &random) {
                    let command = VarveCommand(repository: directory["r"])
                    try run("rm", ["-rf", command.repository]).require(0)
                    let killed = try Tracer.start(
                        ["init", "-r", command.repository],
                        ["-e", "trace=\(call)", "-e", "inject=\(call):signal=KILL:when=\(number)"], log: log
                    ).wait(seconds: 60)
                    let comment: Comment = "init killed at \(call) number \(number) of \(count)"
                    if access(Path.join(command.repository, "varve.json"), F_OK) != 0 {
                        #expect(try command.run(["snapshots"]).code == 10, comment)
                        let again = try command.run(["init"])
                        #expect(again.code == 0, "\(comment): \(again)")
                    } else if killed.code != 0 {
                        #expect(try command.run(["init"]).code == 1, comment)
                    }
                    try command.requireGood(comment)
                }
            }
        }

        @Test func restore() throws {
            let environment = try ClosedEnvironment()
            let directory = environment.directory
            func arguments(_ target: String) -> [String] {
                ["restore", "-r", environment.base.repository, "1", "--target", target]
            }
            let calls = try Tracer.count(
                arguments(directory["clean"]), Tracer.changing, log: directory["log"])
            var random = SeededGenerator(for: "killed restore")
            for (call, count) in calls {
                for number in sample(count, limit: 4, &random) {
                    let target = directory["target"]
                    let comment: Comment = "restore killed at \(call) number \(number) of \(count)"
                    try Tracer.start(
                        arguments(target),
                        ["-e", "trace=\(call)", "-e", "inject=\(call):signal=KILL:when=\(number)"],
                        log: directory["log"]
                    ).wait(seconds: 60)
                    if access(target, F_OK) != 0 {
                        #expect(access(target + ".varve-incomplete", F_OK) == 0 || number == 1, comment)
                        let again = try environment.base.run(["restore", "1", "--target", target])
                        #expect(again.code == 0, "\(comment): \(again)")
                    }
                    // What has the target's name is whole.
                    let difference = try run("diff", ["-r", directory["first"], target])
                    #expect(difference.code == 0, "\(comment): \(difference)")
                    try run("rm", ["-rf", target, target + ".varve-incomplete"]).require(0)
                }
            }
        }
    }
}
