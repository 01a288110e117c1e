import ArgumentParser
import VarveCopies
import VarveFormat
import VarveRepository

/// Which copies are looked for.
struct CopyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Treat this copy (label or id) as if its disk were away. May be repeated.", valueName: "copy"))
    var without: [String] = []

    /// - Parameter added: a copy that was added just now, and so is not left out.
    /// - Throws: `ValidationError` for a copy that the repository does not have.
    func open(_ repository: Repository, but added: CopyRecord? = nil) throws -> RepositoryCopies {
        var options = RepositoryCopies.Options()
        options.without = Set(without)
        if let added { options.without.subtract([added.label, added.copy]) }
        do {
            return try RepositoryCopies(repository, options)
        } catch {
            guard error.code == .invalid, !without.isEmpty else { throw error }
            throw ValidationError("--without: " + error.message + (error.hint.map { "; " + $0 } ?? ""))
        }
    }
}
