import ArgumentParser
import Glibc
import Synchronization
import VarveFormat
import VarveRepository

/// Which repository, and how results are printed: the same in every command on one.
struct RepositoryOptions: ParsableArguments {
    @Option(
        name: [.customShort("r"), .long], help: "Directory of the repository (or VARVE_REPOSITORY).",
        completion: .directory)
    var repository: String?

    @Option(
        help: ArgumentHelp(
            """
            Refuse any repository but the one with this id (or VARVE_REPOSITORY_ID), so that nothing is written to \
            another disk at the same mount point.
            """,
            valueName: "id"))
    var repositoryId: String?

    @OptionGroup var reporting: ReportingOptions

    func path() throws -> String {
        if let path = repository ?? Self.variable("VARVE_REPOSITORY") { return path }
        throw ValidationError("no repository: pass -r PATH or set VARVE_REPOSITORY")
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).flatMap { $0.pointee == 0 ? nil : String(cString: $0) }
    }

    /// One that is opened again for another try tells nothing again.
    private static let told = Mutex<Set<String>>([])

    func open() throws -> Repository {
        let repository = try Repository.open(try path())
        for finding in repository.identityDamage
        where Self.told.withLock({ $0.insert(finding.problem).inserted }) {
            Terminal.warn(
                "warning: \(finding.problem); its content is known from the other: run 'varve heal'")
        }
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
