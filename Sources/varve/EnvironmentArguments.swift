import ArgumentParser
import VarveCapture
import VarveFiles
import VarveFormat

/// Which environment, and what only its application's code knows of it.
struct EnvironmentArguments: ParsableArguments {
    @Option(name: .customLong("bdb"), help: "The environment's home directory.", completion: .directory)
    var home: String

    @Option(
        help: "A data directory that the application sets in its code and DB_CONFIG does not (repeatable).")
    var dataDir: [String] = []

    @Option(help: "The log directory, if the application sets it in its code and DB_CONFIG does not.")
    var logDir: String?

    @OptionGroup var password: PasswordArguments

    func options() throws -> EnvironmentOptions {
        EnvironmentOptions(home: home, dataDirectories: dataDir, logDirectory: logDir)
    }
}

/// The password of an encrypted environment: never on the command line, where every user can read it.
struct PasswordArguments: ParsableArguments {
    @Option(help: "A file that holds the environment's password. One newline at its end is ignored.")
    var passwordFile: String?

    @Option(help: "An open descriptor to read the password from.")
    var passwordFd: Int32?

    @Option(help: "A command, run by /bin/sh, that prints the password.")
    var passwordCommand: String?

    func validate() throws {
        let given = [passwordFile != nil, passwordFd != nil, passwordCommand != nil].count { $0 }
        if given > 1 { throw ValidationError("give the password one way only") }
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
            throw VarveError(.wrongKey, "the password is empty, or has a NUL in it")
        }
        return bytes
    }
}
