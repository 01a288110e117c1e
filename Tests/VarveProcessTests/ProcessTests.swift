import ProcessSupport
import Testing

/// Everything here runs real processes that want the whole machine, and one test at a time has it.
@Suite(.serialized) struct ProcessTests {}

/// A live environment with a saturated writer, and a repository beside it.
final class LiveEnvironment {
    let directory: TemporaryDirectory
    let home: String
    let varve: VarveCommand
    let configuration: EnvironmentConfiguration
    let workload: Workload

    init(_ configuration: EnvironmentConfiguration, seed: UInt64 = 1, in parent: String? = nil) throws {
        self.configuration = configuration
        directory = try TemporaryDirectory(in: parent)
        home = directory["environment"]
        varve = try .initialized(directory["repository"])
        if configuration.isEncrypted { try Text.write(Self.password, to: directory["password"]) }
        workload = try Workload(
            home: home, layout: configuration.layout(directory),
            options: configuration.options + ["--seed", String(seed)], notes: directory.path)
    }

    static let password = "three varves a year\n"

    /// A backup, whatever its exit code.
    func backup(_ arguments: [String] = []) throws -> Finished {
        let own = ["backup", "--json", "--bdb", home] + configuration.directories + arguments
        return try withPassword(own)
    }

    /// A backup that is not tainted.
    func goodBackup(_ arguments: [String] = []) throws -> BackupOutput {
        let output = try backup(arguments).require(0).decode(BackupOutput.self)
        guard !output.tainted, output.recovery != nil else {
            throw ProcessFailure("not a good backup: \(output)")
        }
        return output
    }

    /// Restores and recovers a snapshot; the path.
    func restore(_ snapshot: String, recover: Bool = true) throws -> String {
        let target = directory[(recover ? "recovered-" : "restored-") + snapshot]
        let arguments = ["restore", "--json", snapshot, "--target", target] + (recover ? ["--recover"] : [])
        _ = try withPassword(arguments).require(0)
        return target
    }

    private func withPassword(_ arguments: [String]) throws -> Finished {
        let file = directory["password"]
        switch configuration.password {
        case .none: return try varve.run(arguments)
        case .file: return try varve.run(arguments + ["--password-file", file])
        case .command: return try varve.run(arguments + ["--password-command", "cat '\(file)'"])
        case .descriptor:
            let opened = try OpenFile(file)
            return try varve.start(
                arguments + ["--password-fd", "7"], descriptors: [(ours: opened.descriptor, theirs: 7)]
            ).wait(seconds: 120)
        }
    }

    /// What `bdb-workload flags` says when nothing of a backup is left.
    func requireFlagsAsBefore() throws {
        let output = try workload.flags(["--count"]).output
        guard output.contains("\"hot_backup\":false,\"hot_backup_count\":0"),
            output.contains("\"panic\":false"),
            output.contains("\"auto_remove\":\(configuration.removesLogs)")
        else {
            throw ProcessFailure("the environment's flags are not as before: \(output)")
        }
    }
}
