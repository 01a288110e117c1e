import ArgumentParser
import Glibc
import VarveFormat
import VarveRepository

/// Which repository, and how results are printed: the same in every command.
struct RepositoryOptions: ParsableArguments {
    @Option(
        name: [.customShort("r"), .long], help: "The repository's directory (or VARVE_REPOSITORY).",
        completion: .directory)
    var repository: String?

    @Option(
        help:
            "Refuse any other repository than the one with this id (or VARVE_REPOSITORY_ID): another one's disk."
    )
    var repositoryId: String?

    @Flag(help: "Print the result as JSON on standard output.")
    var json = false

    func path() throws -> String {
        if let path = repository ?? Self.variable("VARVE_REPOSITORY") { return path }
        throw ValidationError("no repository: pass -r PATH or set VARVE_REPOSITORY")
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).flatMap { $0.pointee == 0 ? nil : String(cString: $0) }
    }

    func open() throws -> Repository {
        let repository = try Repository.open(try path())
        if let wanted = repositoryId ?? Self.variable("VARVE_REPOSITORY_ID"),
            wanted.lowercased() != repository.id.description
        {
            throw VarveError(
                .wrongDisk, "\(repository.path) is repository \(repository.id), not \(wanted.lowercased())",
                hint: "mount the right disk there. Nothing was written")
        }
        return repository
    }
}
