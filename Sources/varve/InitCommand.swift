import ArgumentParser
import VarveFormat
import VarveOperations
import VarveRepository

struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a new repository in an empty or new directory.")

    @OptionGroup var options: RepositoryOptions

    @Option(help: "A name for this copy of the repository, kept in its copy.json.")
    var label = "primary"

    @Option(help: "zstd's level, 1 to 19; 2 takes a sixth more time for 3 % less space.")
    var compressionLevel = RepositoryDescription.Parameters().compressionLevel

    @Option(
        help:
            "Make a further copy of it in this empty or new directory, labelled by the directory's name (repeatable).",
        completion: .directory)
    var copy: [String] = []
    @Option(help: "Keep so much parity, in percent, 1 to 50; see 'varve parity'.")
    var parity: Int?

    func run() throws {
        var parameters = RepositoryDescription.Parameters()
        parameters.compressionLevel = compressionLevel
        let repository = try Repository.create(
            at: try options.path(), parameters: parameters, label: label, parity: parity, copies: copy)
        if options.json { return try printJSON(repository.description) }
        Terminal.say("repository \(repository.id) made at \(repository.path)")
        for path in copy { Terminal.say("copy at \(path)") }
    }
}
