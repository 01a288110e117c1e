import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension FaultTests {
    /// Whatever fails while a repository, a copy or its parity is made: the same command again makes what an undisturbed
    /// one would have made.
    @Suite(.serialized, .needs("strace"))
    struct InjectedSetupTests {
        private static let errors = ["EIO", "ENOSPC", "EMFILE", "EACCES", "EROFS"]
        private static let calls = Tracer.changing.filter { $0 != "utimensat" } + ["openat", "close"]
        private let environment: ClosedEnvironment

        init() throws { environment = try ClosedEnvironment() }

        private struct Case: CustomStringConvertible {
            var call: String
            var inject: String
            /// It ends the command whatever its threads do: each call's first is made.
            var isSure = false
            var description: String { "\(call): \(inject)" }
        }

        /// Errors, once and for ever, and a kill.
        private func cases(_ arguments: [String], _ random: inout SeededGenerator) throws -> [Case] {
            let log = environment.directory["log"]
            var cases: [Case] = []
            for (call, count) in try Tracer.count(arguments, Self.calls, log: log) {
                for number in sample(count, limit: 6, &random) {
                    let error = Self.errors.randomElement(using: &random) ?? "EIO"
                    cases.append(Case(call: call, inject: "error=\(error):when=\(number)"))
                    cases.append(Case(call: call, inject: "error=\(error):when=\(number)+"))
                    cases.append(
                        Case(call: call, inject: "signal=KILL:when=\(number)", isSure: number == 1))
                }
            }
            if Executable.isSoak { return cases }
            // A later call may be another thread's this time, and an error of a `close` is none: of five by chance too few may
            // be errors.
            cases.shuffle(using: &random)
            return Array(cases.filter(\.isSure).prefix(3) + cases.filter { !$0.isSure }.prefix(2))
        }

        /// - Returns: how many failed.
        private func sweep(
            _ arguments: [String], named name: String, prepare: () throws -> Void,
            again: (Finished, Comment) throws -> Void
        ) throws -> Int {
            try prepare()
            var random = SeededGenerator(for: "errors in \(name)")
            var failures = 0
            for one in try cases(arguments, &random) {
                let comment: Comment = "\(name), \(one)"
                try prepare()
                let first = try Tracer.start(
                    arguments, ["-e", "trace=\(one.call)", "-e", "inject=\(one.call):\(one.inject)"],
                    log: environment.directory["log"]
                ).wait(seconds: 60)
                if first.code != 0 { failures += 1 }
                try again(first, comment)
            }
            return failures
        }

        private func requireWhole(_ repository: String, copies: [String], parity: Int?, _ comment: Comment)
            throws
        {
            struct List: Decodable {
                struct Row: Decodable {
                    var present: Bool
                    var lacking: Int?
                    var refusal: String?
                }
                var copies: [Row]
            }
            let command = VarveCommand(repository: repository)
            let rows = try command.run(["copy", "list", "--json"]).require(0).decode(List.self).copies
            #expect(rows.count == copies.count + 1, comment)
            #expect(rows.allSatisfy { $0.present && $0.lacking == 0 && $0.refusal == nil }, comment)
            if let parity {
                let status = try command.run(["parity", "status"])
                #expect(status.output.contains("\(parity) %"), "\(comment): \(status)")
            }
            let backup = try command.run([
                "backup", "--bdb", environment.home, "--offline", "--require", "\(copies.count + 1)",
            ])
            #expect(backup.code == 0, "\(comment): \(backup)")
            for path in [repository] + copies {
                try VarveCommand(repository: path).requireGood(comment)
                #expect(try Directory.list(path).filter { $0.hasSuffix(".tmp") } == [], comment)
            }
        }

        @Test func initialization() throws {
            let (repository, copy) = (environment.directory["r"], environment.directory["c"])
            let arguments = ["init", "-r", repository, "--copy", copy, "--parity", "10"]
            let failures = try sweep(arguments, named: "init") {
                try run("rm", ["-rf", repository, copy]).require(0)
            } again: { first, comment in
                let again = try run(Executable.varve, arguments)
                // With the last rename it was a repository, although something failed after it.
                let isThere = again.code == 1 && again.errors.contains("is a repository already")
                #expect(again.code == 0 || isThere, "\(comment): \(first) \(again)")
                try requireWhole(repository, copies: [copy], parity: 10, comment)
            }
            #expect(failures > 2, "only \(failures) of the errors were errors")
        }

        @Test func addingACopy() throws {
            let (repository, copy) = (environment.directory["work"], environment.directory["c"])
            let arguments = ["copy", "add", "-r", repository, copy, "--label", "second"]
            let failures = try sweep(arguments, named: "copy add") {
                _ = try environment.copy("work")
                try run("rm", ["-rf", copy]).require(0)
            } again: { first, comment in
                let again = try run(Executable.varve, arguments)
                #expect(again.code == 0, "\(comment): \(first) \(again)")
                try requireWhole(repository, copies: [copy], parity: nil, comment)
            }
            #expect(failures > 2, "only \(failures) of the errors were errors")
        }

        @Test func addingParity() throws {
            let repository = environment.directory["work"]
            let arguments = ["parity", "add", "10", "-r", repository]
            let failures = try sweep(arguments, named: "parity add") {
                _ = try environment.copy("work")
            } again: { first, comment in
                let again = try run(Executable.varve, arguments)
                #expect(again.code == 0, "\(comment): \(first) \(again)")
                try requireWhole(repository, copies: [], parity: 10, comment)
                let status = try VarveCommand(repository: repository).run(["parity", "status"]).require(0)
                #expect(!status.output.contains("missing") && !status.output.contains("unreadable"), comment)
            }
            #expect(failures > 2, "only \(failures) of the errors were errors")
        }

        /// What a cut off `init --parity` leaves is no setting of the next one.
        @Test func parityOfAnInitThatWasCutOff() throws {
            let repository = environment.directory["r"]
            try run(Executable.varve, ["init", "-r", repository, "--parity", "10"]).require(0)
            try Directory.removeFile(Path.join(repository, "varve.json"))
            let command = VarveCommand(repository: repository)
            let nothing = try command.run(["snapshots"])
            #expect(nothing.code == 10 && nothing.errors.contains("interrupted"), "\(nothing)")
            try command.run(["init"]).require(0)
            #expect(access(Path.join(repository, "parity.json"), F_OK) != 0)
            let status = try command.run(["parity", "status"]).require(0)
            #expect(status.output.contains("none"), "\(status)")
        }

        /// Before anything is written.
        @Test func oneDirectoryTwice() throws {
            let directory = environment.directory
            try Directory.create(directory["full"])
            try Directory.create(directory["full/letters"])
            for copy in [directory["q"], directory["q/../q"], directory["q/inside"], directory["full"]] {
                let made = try run(Executable.varve, ["init", "-r", directory["q"], "--copy", copy])
                #expect(made.code == 1 && made.errors.contains("Nothing was written"), "\(made)")
                #expect(access(directory["q"], F_OK) != 0, "\(copy)")
            }
            try run(Executable.varve, ["init", "-r", directory["q"], "--copy", directory["p"]]).require(0)
        }
    }
}
