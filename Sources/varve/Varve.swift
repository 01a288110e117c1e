import ArgumentParser
import Glibc
import VarveFiles
import VarveFormat
import VarveOperations

/// The command: arguments, progress, exit codes. What it does is in the library.
@main
struct VarveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "varve",
        abstract: "Back up Berkeley DB environments that applications write to; verify, restore, recover.",
        discussion: """
            The repository is named by -r/--repository or by VARVE_REPOSITORY.

            Exit codes: 0 done; 1 failed, refused, or damage found; 3 done, but a person should look; 10 the \
            repository is not there, or the disk is not the right one; 11 locked; 12 the environment's password is \
            wrong or missing; 64 the command line is wrong; 130 interrupted. Documentation/using/exit-codes.md has them in full.
            """,
        version: Tool.version,
        subcommands: [
            InitCommand.self, BackupCommand.self, SnapshotsCommand.self, LsCommand.self, ShowCommand.self,
            StatsCommand.self, RestoreCommand.self, VerifyCommand.self, CopyCommand.self, HealCommand.self,
            ParityCommand.self, StatusCommand.self,
            SourceCommand.self, UnwedgeCommand.self,
        ])

    static func main() {
        // A limit on file sizes is to be an error with a name, not the end without a word.
        signal(SIGXFSZ, SIG_IGN)
        do {
            let arguments = Array(ProcessArguments.all.dropFirst())
            try CommandLineCheck.check(arguments)
            var command = try parseAsRoot(arguments)
            try command.run()
        } catch let error as VarveError {
            Terminal.report(error)
            Glibc.exit(ExitStatus.of(error))
        } catch {
            exit(withError: error)
        }
    }
}

/// The command's exit codes (`README.md`).
enum ExitStatus {
    static let tainted: Int32 = 3

    static func of(_ error: VarveError) -> Int32 {
        switch error.code {
        case .noRepository, .wrongDisk, .rolledBack, .clonedCopy: 10
        case .locked: 11
        case .wrongKey: 12
        case .interrupted: 130
        default: 1
        }
    }
}
