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
