import Glibc
import ProcessSupport
import VarveFiles

/// `bdb-workload rest`: an application that has written keys in order, did not flush its log, and does nothing.
final class RestingApplication {
    let directory: TemporaryDirectory
    let home: String
    let varve: VarveCommand
    let records: Int
    private(set) var running: RunningProcess

    init(_ records: Int, _ options: [String] = [], in parent: String? = nil) throws {
        directory = try TemporaryDirectory(in: parent)
        home = directory["environment"]
        varve = try .initialized(directory["repository"])
        self.records = records
        let ready = directory["ready"]
        running = try RunningProcess(
            Executable.workload,
            ["rest", "--home", home, "--records", String(records), "--seconds", "300", "--ready", ready]
                + options)
        let application = running
        try waitUntil("the application's rest", seconds: 60) {
            guard application.isRunning else {
                throw ProcessFailure("the application ended: \(try application.wait(seconds: 1))")
            }
            return access(ready, F_OK) == 0
        }
    }

    var process: Int32 { running.process }

    func backup(_ options: [String] = []) throws -> Finished {
        try varve.run(["backup", "--json", "--bdb", home] + options)
    }

    /// The keys of the restored and recovered `a.db`, in order.
    func restoredKeys(_ snapshot: String) throws -> [Int] {
        let target = directory["restored-\(snapshot)"]
        try varve.run(["restore", snapshot, "--target", target, "--recover"]).require(0)
        return try Self.keys(Path.join(target, "a.db"))
    }

    static func keys(_ file: String) throws -> [Int] {
        let dump = try run("db5.3_dump", ["-p", file]).require(0).output
        let lines = dump.split(separator: "\n").drop { $0 != "HEADER=END" }.dropFirst().prefix {
            $0 != "DATA=END"
        }
        return lines.enumerated().filter { $0.offset % 2 == 0 }.compactMap { Int($0.element.dropFirst()) }
    }
}
