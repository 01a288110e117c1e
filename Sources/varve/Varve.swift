import ArgumentParser
import Glibc
import VarveFiles
import VarveOperations

/// The command: arguments, output, exit codes. What it does is in the library.
@main
struct VarveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "varve",
        abstract: "Back up Berkeley DB environments that applications write to; verify, restore, recover.",
        discussion: """
            The repository is named by -r/--repository or by VARVE_REPOSITORY. The options -r, --repository-id, --json, \
            -q and -v may stand before the subcommand or behind it.

            Exit codes: \(ExitStatus.meanings.map { "\($0.code) \($0.meaning)" }.joined(separator: "; ")).
            """,
        version: Tool.version,
        subcommands: [
            InitCommand.self, BackupCommand.self, SnapshotsCommand.self, LsCommand.self, ShowCommand.self,
            StatsCommand.self, RestoreCommand.self, VerifyCommand.self, CopyCommand.self, HealCommand.self,
            ParityCommand.self, StatusCommand.self, SourceCommand.self, UnwedgeCommand.self,
            CompletionsCommand.self, ManualCommand.self,
        ])

    static func main() {
        StandardStreams.keep()
        // A limit on file sizes is to be an error with a name, not the end without a word.
        signal(SIGXFSZ, SIG_IGN)
        Glibc.exit(Execution.run(Array(ProcessArguments.all.dropFirst())))
    }
}
