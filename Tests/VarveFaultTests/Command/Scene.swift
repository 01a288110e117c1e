import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

/// A closed environment of a few MiB, and what every command of varve can be tried on.
final class CommandScene {
    let directory: TemporaryDirectory
    let command: VarveCommand
    var home: String { directory["home"] }
    private var counter = 0

    /// Further options are those of every run.
    let options: [String]

    init(_ options: [String] = []) throws {
        self.options = options
        directory = try TemporaryDirectory()
        command = VarveCommand(repository: directory["repository"])
        try write()
    }

    func write() throws {
        try run(
            Executable.workload,
            [
                "run", "--home", home, "--seconds", "0.3", "--remove-regions", "--records", "1000", "--rate",
                "300",
            ]
        ).require(0)
    }

    /// A path that nothing has yet.
    func newPath() -> String {
        counter += 1
        return directory["new\(counter)"]
    }

    var backup: [String] { ["backup", "--offline", "--bdb", home] }

    func perform(_ arguments: [String]) throws -> Finished { try command.run(arguments + options) }

    /// Every command that does something, each with 0, in an order in which each has something to do.
    ///
    /// - Parameter body: is given the words of the command without those that only this scene knows.
    func performAll(_ body: (_ name: String, Finished) throws -> Void) throws {
        func step(_ name: String, _ arguments: [String]) throws {
            try body(name, try perform(arguments))
        }
        try step("init", ["init", "--copy", directory["two"], "--parity", "10"])
        try step("backup", backup)
        try write()
        try step("backup", backup + ["--without", "two"])
        try step("copy sync", ["copy", "sync"])
        try step("copy add", ["copy", "add", directory["three"], "--role", "offsite", "--label", "three"])
        try step("copy detach", ["copy", "detach", "three"])
        try step("copy remove", ["copy", "remove", "three"])
        try step("restore", ["restore", "latest", "--target", newPath()])
        try step("restore --recover", ["restore", "1", "--target", newPath(), "--recover"])
        try step("verify", ["verify"])
        try step("verify --drill", ["verify", "--drill"])
        try step("heal", ["heal"])
        let victim = try #require(
            Directory.list(Path.join(directory["two"], "manifests")).max())
        try run("rm", ["-f", Path.join(directory["two"], "manifests/" + victim)]).require(0)
        try step("heal", ["heal"])
        try step("parity add", ["parity", "add", "20"])
        try step("source rename", ["source", "rename", "\(Host.name):\(try Path.resolve(home))", "books"])
        try step("source archive", ["source", "archive", "books"])
        try body(
            "unwedge", try whileLive { try run(Executable.varve, ["unwedge", "--bdb", home] + options) })
    }

    /// With an application at work in the environment.
    func whileLive<T>(_ body: () throws -> T) throws -> T {
        let ready = newPath()
        let writer = try RunningProcess(
            Executable.workload,
            [
                "run", "--home", home, "--remove-regions", "--records", "1000", "--rate", "300", "--ready",
                ready,
            ])
        try waitUntil("the application") { access(ready, F_OK) == 0 }
        let result = try body()
        try writer.terminate().require(0)
        return result
    }

    /// Those that list something.
    func listAll(_ body: (_ name: String, Finished) throws -> Void) throws {
        for arguments in [
            ["snapshots"], ["ls"], ["show"], ["stats"], ["copy", "list"], ["parity", "status"], ["status"],
            ["source", "list"], ["copy", "sync", "--dry-run"], ["heal", "--dry-run"],
        ] {
            try body(arguments.joined(separator: " "), try perform(arguments))
        }
        try body(
            "restore --dry-run", try perform(["restore", "latest", "--target", newPath(), "--dry-run"]))
        try body("completions", try run(Executable.varve, ["completions", "bash"] + options))
    }
}
