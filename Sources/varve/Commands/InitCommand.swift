import ArgumentParser
import VarveFormat
import VarveOperations
import VarveRepository

struct InitCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a new repository in an empty or new directory.",
        discussion: """
            The last directory of a path is made, and no other. A mount point of /etc/fstab where nothing is mounted is refused, \
            and what lies beneath it.
            """)

    @Option(help: ArgumentHelp("Label of this copy of the repository.", valueName: "name"))
    var label = "primary"

    @Option(
        help: ArgumentHelp(
            "Compression level of zstd, 1 to 19. Level 2 takes a sixth more time for 3 % less space.",
            valueName: "level"))
    var compressionLevel = RepositoryDescription.Parameters().compressionLevel

    @Option(
        help: ArgumentHelp(
            "Make another copy in this empty or new directory, labelled by its name. May be repeated.",
            valueName: "dir"), completion: .directory)
    var copy: [String] = []

    @Option(
        help: ArgumentHelp(
            "Amount of parity to keep, in percent, 1 to 50; see 'varve parity'.", valueName: "percent"))
    var parity: Int?

    @OptionGroup var options: RepositoryOptions

    /// What `--json` prints.
    private struct Output: Encodable {
        struct MadeCopy: Encodable { var path: String }

        var repository: String
        var path: String
        var created: Timestamp
        var format: Int
        var parameters: RepositoryDescription.Parameters
        /// Further copies.
        var copies: [MadeCopy]
    }

    func run() throws {
        var parameters = RepositoryDescription.Parameters()
        parameters.compressionLevel = compressionLevel
        let repository = try Repository.create(
            at: try options.path(), parameters: parameters, label: label, parity: parity, copies: copy)
        let further =
            copy.isEmpty ? "" : "; \(copy.count == 1 ? "copy" : "copies") at \(copy.joined(separator: ", "))"
        Terminal.result("repository \(repository.id) made at \(repository.path)\(further)")
        let description = repository.description
        try Terminal.document(
            Output(
                repository: description.repository, path: repository.path, created: description.created,
                format: description.format, parameters: description.parameters,
                copies: copy.map { Output.MadeCopy(path: $0) }))
    }
}
