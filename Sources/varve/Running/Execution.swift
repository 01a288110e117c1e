import ArgumentParser
import VarveFiles
import VarveFormat

/// One run of the command, from its words to its exit code.
enum Execution {
    /// - Parameter words: the command line without the program's name.
    /// - Returns: the exit code. Everything that was to be printed is printed.
    static func run(_ words: [String]) -> Int32 {
        do {
            let arguments = try GlobalOptions.arranged(words)
            try GlobalOptions.requireCommand(arguments)
            try CommandLineCheck.check(arguments)
            var command = try VarveCommand.parseAsRoot(arguments)
            if let command = command as? any ReportingCommand { Terminal.begin(command.reporting) }
            try Notices.heard(by: Terminal.notice) { try command.run() }
            return try Terminal.finish(code: 0)
        } catch let error as VarveError {
            return Terminal.finish(error)
        } catch let code as ExitCode {
            do {
                return try Terminal.finish(code: code.rawValue)
            } catch {
                return Terminal.finish(error as? VarveError ?? VarveError(.system, "\(error)"))
            }
        } catch {
            return finish(error, words)
        }
    }

    /// The parser's own errors, and what it throws for `--help` and `--version`.
    private static func finish(_ error: any Error, _ words: [String]) -> Int32 {
        let code = VarveCommand.exitCode(for: error).rawValue
        let text = fullMessage(error, words)
        guard code != 0 else {
            do {
                try Terminal.output(text)
                return 0
            } catch {
                return Terminal.finish(error as? VarveError ?? VarveError(.system, "\(error)"))
            }
        }
        Terminal.complain(text)
        // The parser has not got so far as to read the flag.
        if words.prefix(while: { $0 != "--" }).contains("--json") {
            Terminal.deliverFailure(code: "usage", message: VarveCommand.message(for: error), exit: code)
        }
        return code
    }

    /// The parser gives the usage of the command that it was at. What is thrown before or after it is ours, and so is the
    /// usage then: of the command that the words name.
    private static func fullMessage(_ error: any Error, _ words: [String]) -> String {
        guard error is ValidationError else { return VarveCommand.fullMessage(for: error) }
        let command = GlobalOptions.command(in: words)
        return """
            Error: \(VarveCommand.message(for: error))
            Usage: \(VarveCommand.usageString(for: command.type))
              See '\(command.name) --help' for more information.
            """
    }
}

/// The command's exit codes (`README.md`).
enum ExitStatus {
    /// For people: the manual pages and `--help` have them.
    static let meanings: [(code: Int32, meaning: String)] = [
        (0, "done, and no action is needed"),
        (1, "failed, refused, or damage found"),
        (3, "done, but a person should look (the warnings say why)"),
        (10, "the repository is not there, or the disk is not the right one"),
        (11, "locked by another process"),
        (12, "the password is wrong or missing, or was given and the environment is not encrypted"),
        (64, "the command line is wrong, and nothing was done"),
        (130, "interrupted"),
    ]

    /// Done, and a person should look.
    static let attention: Int32 = 3

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
