import ArgumentParser
import VarveCapture
import VarveFiles
import VarveFormat

/// Which environment, and what only its application's code knows of it.
struct EnvironmentArguments: ParsableArguments {
    @Option(
        name: .customLong("bdb"),
        help: ArgumentHelp("Home directory of the environment.", valueName: "home"), completion: .directory)
    var home: String

    @Option(
        help: ArgumentHelp(
            "Data directory that the application sets in its code and not in DB_CONFIG. May be repeated.",
            valueName: "dir"), completion: .directory)
    var dataDir: [String] = []

    @Option(
        help: ArgumentHelp(
            "Log directory, if the application sets it in its code and not in DB_CONFIG.", valueName: "dir"),
        completion: .directory)
    var logDir: String?

    @OptionGroup var password: PasswordArguments

    func options() throws -> EnvironmentOptions {
        EnvironmentOptions(home: home, dataDirectories: dataDir, logDirectory: logDir)
    }
}

/// The password of an encrypted environment: never on the command line, where every user can read it.
struct PasswordArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "File with the password of the environment. One newline at its end is ignored.", valueName: "file"
        ),
        completion: .file())
    var passwordFile: String?

    @Option(
        help: ArgumentHelp(
            "Number of an open descriptor to read the password from.", valueName: "number"))
    var passwordFd: Int32?

    @Option(
        help: ArgumentHelp("Command for /bin/sh that prints the password.", valueName: "command"))
    var passwordCommand: String?

    func validate() throws {
        let given = [passwordFile != nil, passwordFd != nil, passwordCommand != nil].count { $0 }
        if given > 1 {
            throw ValidationError(
                "--password-file, --password-fd and --password-command exclude each other")
        }
    }

    /// Nil if none was given.
    func read() throws -> [UInt8]? {
        var bytes: [UInt8]
        if let passwordFile {
            bytes = try File.open(reading: passwordFile).readStream(limit: 4096)
        } else if let passwordFd {
            bytes = try File(descriptor: passwordFd, path: "descriptor \(passwordFd)").readStream(
                limit: 4096)
        } else if let passwordCommand {
            bytes = try ShellCommand.output(of: passwordCommand, limit: 4096)
        } else {
            return nil
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        guard !bytes.isEmpty, !bytes.contains(0) else {
            throw VarveError(.wrongKey, "the password is empty, or contains a NUL byte")
        }
        return bytes
    }
}
