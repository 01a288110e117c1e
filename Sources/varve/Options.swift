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

    @Flag(help: "Print the result as JSON on standard output.")
    var json = false

    func path() throws -> String {
        if let repository { return repository }
        if let value = getenv("VARVE_REPOSITORY"), value.pointee != 0 { return String(cString: value) }
        throw ValidationError("no repository: pass -r PATH or set VARVE_REPOSITORY")
    }

    func open() throws -> Repository { try Repository.open(try path()) }
}
