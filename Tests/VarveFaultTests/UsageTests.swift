import ProcessSupport
import Testing
import VarveFiles
import VarveRepository

extension FaultTests {
    /// Mistakes in the command line are told before anything is done.
    @Suite struct UsageTests {
        @Test(arguments: [
            ["backup", "--bdb", "/x", "--bdb", "/y"], ["backup", "--bdb=/x", "--offline", "--bdb=/y"],
            ["restore", "1", "--target", "/x", "--target", "/y"], ["snapshots", "-r", "/x"],
            ["snapshots", "--repository=/x"], ["copy", "add", "/x", "--label", "a", "--label", "b"],
            ["-r", "/x", "snapshots"], ["heal", "--wait", "1s", "--wait", "2s"],
        ])
        func anOptionWithOneValueIsGivenTwice(_ arguments: [String]) throws {
            let directory = try TemporaryDirectory()
            let command = try VarveCommand.initialized(directory["repository"])
            let before = try Stored(command.repository).objects
            let finished = try command.run(arguments)
            #expect(finished.code == 64 && finished.errors.contains("is given twice"), "\(finished)")
            #expect(try Stored(command.repository).objects == before)
        }

        @Test(arguments: [
            ["backup", "--bdb", ""], ["restore", "latest", "--target", ""], ["copy", "add", ""],
        ])
        func anArgumentIsEmpty(_ arguments: [String]) throws {
            let directory = try TemporaryDirectory()
            let finished = try VarveCommand(repository: directory["none"]).run(arguments)
            #expect(finished.code == 64 && finished.errors.contains("an argument is empty"), "\(finished)")
        }

        @Test(arguments: [
            ("bakup", "backup"), ("backups", "backup"), ("verfy", "verify"), ("frobnicate", nil),
        ])
        func aMistypedCommandIsNamed(_ word: String, _ near: String?) throws {
            let finished = try run(Executable.varve, [word, "--bdb", "/x"])
            #expect(finished.code == 64, "\(finished)")
            #expect(
                finished.errors.hasPrefix(
                    "Error: there is no command '\(word)'" + (near.map { "; did you mean '\($0)'?" } ?? "")
                        + "\n"),
                "\(finished)")
        }

        @Test(arguments: [
            (["heal", "--wait", "10"], "as in 90s"), (["status", "--max-age", "1y"], "as in 90s"),
            (["verify", "--media", "--rate", "1.5q"], "as in 50MiB"),
        ])
        func aQuantityWithoutItsUnitIsExplained(_ arguments: [String], _ example: String) throws {
            let directory = try TemporaryDirectory()
            let finished = try VarveCommand(repository: directory["none"]).run(arguments)
            #expect(finished.code == 64 && finished.errors.contains(example), "\(finished)")
            // The control: with a unit the command gets as far as the repository.
            let right = arguments.dropLast() + [arguments[0] == "verify" ? "2MB" : "10s"]
            #expect(try VarveCommand(repository: directory["none"]).run(Array(right)).code == 10)
        }

        /// Whenever the mistake is found: before the arguments are parsed, meanwhile, and in the work itself.
        @Test(arguments: [
            (["copy", "add", ""], "copy add"), (["-r", "/x", "heal", "-r", "/x"], "heal"),
            (["status", "--min-copies", "0"], "status"),
            (["copy", "add", "/x", "--role", "spare"], "copy add"),
            (["copy", "sync", "--without", "nosuch"], "copy sync"),
            (["heal", "--without", "nosuch"], "heal"),
            (["restore", "1", "--target", "/x", "--map", "x"], "restore"),
            (["snapshots", "more"], "snapshots"),
        ])
        func theUsageIsThatOfTheCommand(_ arguments: [String], _ name: String) throws {
            let directory = try TemporaryDirectory()
            let command = try VarveCommand.initialized(directory["repository"])
            let finished = try command.run(arguments)
            let lines = finished.errors.split(separator: "\n")
            #expect(finished.code == 64, "\(finished)")
            #expect(lines.contains { $0.hasPrefix("Usage: varve \(name) ") }, "\(finished)")
            #expect(lines.last == "  See 'varve \(name) --help' for more information.", "\(finished)")
            // The control: where no command is named, it is that of all.
            let bare = try command.run([""]).errors
            #expect(bare.contains("Usage: varve <subcommand>"), "\(bare)")
        }

        private struct Snapshots: Decodable {
            struct Row: Decodable { var snapshot: String }
            var snapshots: [Row]
        }

        /// SIGXFSZ ended it without a word.
        @Test func aLimitOnFileSizesAndANeedlessPasswordAreErrorsWithNames() throws {
            let directory = try TemporaryDirectory()
            let command = try VarveCommand.initialized(directory["repository"])
            try Workload(
                home: directory["home"], layout: [], options: RefusalTests.small, notes: directory.path,
                seconds: 60
            ).stop()
            func limited(_ arguments: String) throws -> Finished {
                try run(
                    "/bin/sh", ["-c", "ulimit -f 8; exec \"$0\" \(arguments)", Executable.varve],
                    environment: ["VARVE_REPOSITORY": command.repository], directory: directory.path)
            }
            let backup = "backup --offline --bdb home"
            #expect(try limited(backup).require(1).errors.contains("ulimit -f"))
            #expect(
                try command.run(["snapshots", "--json"]).require(0).decode(Snapshots.self).snapshots.isEmpty)
            try command.run(["backup", "--offline", "--bdb", directory["home"]]).require(0)
            #expect(try limited("restore latest --target out").require(1).errors.contains("ulimit -f"))
            #expect(try FileStatus.of(directory["out"]) == nil)
            try command.run(["restore", "latest", "--target", directory["out"]]).require(0)
            // libdb would take the logs for damaged, and panic on a tree that is restored already.
            let password = ["--password-command", "echo secret"]
            for arguments in [
                ["verify", "--drill"], ["restore", "latest", "--target", directory["new"], "--recover"],
            ] {
                let finished = try command.run(arguments + password).require(12)
                #expect(finished.errors.contains("is not encrypted, but a password was given"), "\(finished)")
                #expect(try FileStatus.of(directory["new"]) == nil)
                try command.run(arguments).require(0)
            }
        }

        /// Those that may be repeated are, and a flag is no option.
        @Test func whatMayBeRepeatedIs() throws {
            let directory = try TemporaryDirectory()
            let command = try VarveCommand.initialized(directory["repository"])
            try command.run(["copy", "add", directory["x"], "--label", "x"]).require(0)
            try command.run(["copy", "add", directory["y"], "--label", "y"]).require(0)
            let finished = try command.run([
                "backup", "--bdb", directory["gone"], "--only", "a", "--only", "b", "--data-dir", "c",
                "--data-dir",
                "d", "--json", "--json", "--without", "x", "--without", "y",
            ])
            #expect(!finished.errors.contains("given twice") && finished.code == 1, "\(finished)")
        }

        /// Whoever writes `--without offiste` would have it written to.
        @Test func whatIsUnknownIsRefused() throws {
            let directory = try TemporaryDirectory()
            let command = try VarveCommand.initialized(directory["repository"])
            try Workload(
                home: directory["home"], layout: [], options: RefusalTests.small, notes: directory.path,
                seconds: 60
            ).stop()
            let backup = ["backup", "--offline", "--bdb", directory["home"]]
            for (arguments, words) in [
                (backup + ["--without", "nosuch"], "there is no copy nosuch"),
                (backup + ["--nosuch"], "Unknown option '--nosuch'"),
                (backup + ["more"], "more"),
                (
                    ["restore", "latest", "--target", directory["new"], "--map", "logs=/x"],
                    "--map must be OLD=NEW"
                ),
                (["copy", "add", directory["new"], "--role", "spare"], "not 'spare'"),
                (["unwedge", "--bdb", directory["home"]], "-r"), (["completions", "tcsh"], "tcsh"),
            ] {
                let finished = try command.run(arguments)
                #expect(finished.code == 64 && finished.errors.contains(words), "\(finished)")
                #expect(finished.output.isEmpty, "\(finished)")
            }
            #expect(try Stored(command.repository).objects == [])
            #expect(try FileStatus.of(directory["new"]) == nil)
            try command.run(backup).require(0)
        }

        /// `varve -r DIR backup` is what a shell's alias makes.
        @Test func optionsMayStandBeforeTheSubcommand() throws {
            let directory = try TemporaryDirectory()
            let repository = directory["repository"]
            func varve(_ arguments: [String]) throws -> Finished {
                try run(Executable.varve, arguments, environment: ["VARVE_REPOSITORY": directory["none"]])
            }
            let made = try varve(["-q", "-r", repository, "init", "--copy", directory["two"]])
            #expect(made.code == 0 && made.output.isEmpty && made.errors.isEmpty, "\(made)")
            let id = try Repository.open(repository).id.description
            let behind = try varve(["copy", "list", "--json", "-r", repository, "--repository-id", id])
                .require(0)
            #expect(behind.output.contains("\"schema\" : 1"))
            for arguments in [
                ["-r", repository, "--repository-id", id, "--json", "copy", "list"],
                ["copy", "-r", repository, "--json", "list", "--repository-id=\(id)"],
                ["--json", "--repository=\(repository)", "copy", "--repository-id", id, "list"],
            ] {
                let finished = try varve(arguments)
                #expect(finished.code == 0 && finished.output == behind.output, "\(finished)")
            }
            // They are not passed over there.
            let other = String(repeating: "0", count: 32)
            #expect(try varve(["-r", repository, "--repository-id", other, "snapshots"]).code == 10)
            #expect(try varve(["snapshots"]).code == 10)
            for (arguments, words) in [
                (["-r"], "Missing value for '-r'"), (["-r", repository, "nosuch"], "nosuch"),
                (["--only", "x", "-r", repository, "snapshots"], "--only"),
            ] {
                let finished = try varve(arguments)
                #expect(finished.code == 64 && finished.errors.contains(words), "\(finished)")
            }
        }
    }
}
