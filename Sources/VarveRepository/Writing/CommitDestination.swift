import VarveFormat
import VarveStorage

/// What a backup writes to: one copy of a repository, or several of them. It holds the writer's lock of each.
package protocol CommitDestination: AnyObject {
    /// The copy that the next backup is compared with.
    var repository: Repository { get }
    /// What is written to, and read from.
    var storage: any Storage { get }

    /// Throws unless each disk is still the one that was opened, and enough of them are there. The manifest is
    /// published next.
    func check() throws(VarveError)

    /// The manifest was published.
    func acknowledge(_ reference: SnapshotReference) throws(VarveError)
}

/// One copy, as if there were no others.
final class SingleCopy: CommitDestination {
    let repository: Repository
    private let lock: WriterLock

    init(_ repository: Repository) throws(VarveError) {
        self.repository = repository
        lock = try WriterLock(repository)
        try repository.storage.removeTemporaryFiles()
    }

    var storage: any Storage { repository.storage }

    func check() {}

    func acknowledge(_ reference: SnapshotReference) {}
}
