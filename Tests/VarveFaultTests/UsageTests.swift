import ProcessSupport
import Testing
import VarveFiles

extension FaultTests {
    /// Mistakes in the command line are told before anything is done.
    @Suite struct UsageTests {
        @Test(arguments: [
            ["backup", "--bdb", "/x", "--bdb", "/y"], ["backup", "--bdb=/x", "--offline", "--bdb=/y"],
            ["restore", "1", "--target", "/x", "--target", "/y"], ["snapshots", "-r", "/x"],
            ["snapshots", "--repository=/x"], ["copy", "add", "/x", "--label", "a", "--label", "b"],
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
            #expect(try command.run(["snapshots", "--json"]).require(0).decode([String].self).isEmpty)
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
            let finished = try command.run([
                "backup", "--bdb", directory["gone"], "--only", "a", "--only", "b", "--data-dir", "c",
                "--data-dir",
                "d", "--json", "--json", "--without", "x", "--without", "y",
            ])
            #expect(!finished.errors.contains("given twice") && finished.code == 1, "\(finished)")
        }
    }
}
