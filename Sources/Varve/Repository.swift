import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveUpkeep

/// A repository of backups: a directory, and copies of it on other disks.
///
/// A value of this type holds nothing open. Each call opens the repository anew, so a disk may be unmounted and mounted
/// between two calls; another repository's disk at the same path is refused with `wrongDisk`.
///
/// Every call runs on a thread of its own. A cancelled task ends its call with `interrupted`, after the environment is
/// as it was before. Calls may be made at the same time; two that write wait for nobody: the second throws `locked`.
public struct Repository: Sendable {
    /// The directory of the named copy: the one that is read, and that each backup is compared with.
    public let path: String
    /// 32 hexadecimal digits that all copies of the repository have in common.
    public let id: String
    /// Copies that are left alone, as if their disks were away: labels or ids.
    public var without: Set<String> = []
    /// Hears of errors that end no call.
    public var notices: NoticeHandler

    init(_ opened: VarveRepository.Repository, _ notices: NoticeHandler) {
        self.notices = notices
        path = opened.path
        id = opened.id.description
    }

    /// Opens a repository.
    ///
    /// - Parameters:
    ///   - path: the directory of one of its copies.
    ///   - notices: hears of errors that end no call, of this one and of all on the repository.
    /// - Throws: `noRepository` if there is none at the path.
    public static func open(
        _ path: String, notices: NoticeHandler = .none
    ) async throws(VarveError) -> Repository {
        try await Operation.run(notices) { _ in
            Repository(try VarveRepository.Repository.open(path), notices)
        }
    }

    /// Makes a repository in an empty or new directory.
    ///
    /// - Parameters:
    ///   - path: the directory.
    ///   - copies: empty or new directories for further copies, each on a disk of its own. A copy is named after the last
    ///     part of its path.
    ///   - parityPercent: keeps so much parity in the first copy, 1 to 50 percent of what is stored; nil: none.
    ///   - notices: hears of errors that end no call, of this one and of all on the repository.
    /// - Throws: `invalid` if a directory is not empty or is named twice. Nothing was written then.
    public static func create(
        at path: String, copies: [String] = [], parityPercent: Int? = nil, notices: NoticeHandler = .none
    ) async throws(VarveError) -> Repository {
        try await Operation.run(notices) { _ in
            Repository(
                try VarveRepository.Repository.create(at: path, parity: parityPercent, copies: copies),
                notices)
        }
    }

    /// The named copy, as it is now.
    func opened() throws -> VarveRepository.Repository {
        let opened = try VarveRepository.Repository.open(path)
        guard opened.id.description == id else {
            throw VarveError(
                .wrongDisk, "\(path) is repository \(opened.id), not \(id)",
                hint: "mount the right disk there; nothing was written")
        }
        return opened
    }

    func copies(of opened: VarveRepository.Repository) throws -> RepositoryCopies {
        var options = RepositoryCopies.Options()
        options.without = without
        return try RepositoryCopies(opened, options)
    }
}

extension Repository {
    /// The snapshots, oldest first.
    ///
    /// - Parameter source: only those of this source; nil: all.
    /// - Throws: `corrupt` if a manifest cannot be read: what it holds is not known then.
    public func snapshots(of source: String? = nil) async throws(VarveError) -> [Snapshot] {
        try await Operation.run(notices) { _ in
            let opened = try opened()
            let list = try opened.sources()
            if let unknown = list.unknown.first {
                throw VarveError(
                    .corrupt, "the manifest of snapshot \(unknown) cannot be read", location: path,
                    hint: "verify the repository")
            }
            let ledger = try opened.ledger()
            return list.summaries.filter { source == nil || list.name(of: $0) == source }.map {
                Snapshot(
                    $0, source: list.name(of: $0),
                    isTainted: $0.isTainted && !ledger.isProven($0.reference))
            }
        }
    }

    /// The copies of the repository, the named one first.
    public func copies() async throws(VarveError) -> [Copy] {
        try await Operation.run(notices) { _ in try copies(of: opened()).copies.map { Copy($0) } }
    }

    /// What can be restored, to which moment, from which copies; and whether that satisfies a policy.
    ///
    /// - Parameter policy: what must hold for all to be well.
    public func status(_ policy: StatusPolicy = .init()) async throws(VarveError) -> Status {
        try await Operation.run(notices) { _ in
            var known = RepositoryStatus.Policy()
            known.maximumAge = policy.maximumAge
            known.minimumCopies = policy.minimumCopies
            known.readWithin = policy.readWithin
            return Status(try RepositoryStatus(try copies(of: opened()), policy: known))
        }
    }
}
