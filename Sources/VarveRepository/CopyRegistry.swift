import VarveFiles
import VarveFormat
import VarveStorage

/// Which copies a repository has: adding one, saying that its disk may go, forgetting it.
public struct CopyRegistry: Sendable {
    private let copies: RepositoryCopies

    public init(_ copies: RepositoryCopies) { self.copies = copies }

    /// Makes a copy in an empty or new directory, without objects yet, or takes note of where a copy is now. Labels are
    /// for people, and so must differ.
    ///
    /// - Throws: `.wrongDisk` if another repository is there, `.clonedCopy` if that copy is at its old place as well,
    ///   `.invalid` if the directory is not empty or the label is taken.
    public func add(at path: String, label: String?, role: String) throws -> RepositoryCopies.Copy {
        let lead = copies.lead
        if try FileStatus.of(Path.join(path, RepositoryDescription.fileName)) != nil {
            return try welcome(try Repository.open(path))
        }
        let label = label ?? "copy\(copies.copies.count + 1)"
        if let taken = copies.copies.first(where: { $0.record.label == label }) {
            throw VarveError(
                .invalid, "there is a copy '\(label)' already (\(taken.record.path))",
                hint: "choose another name with --label")
        }
        return try enter(try lead.createCopy(at: path, label: label, role: role), nil)
    }

    /// A copy that is known at another place, or was forgotten, or was made by an `add` that was killed.
    private func welcome(_ repository: Repository) throws -> RepositoryCopies.Copy {
        guard repository.id == copies.lead.id else {
            throw VarveError(
                .wrongDisk,
                "\(repository.path) belongs to another repository (\(repository.id)), not to \(copies.lead.id)",
                hint:
                    "choose an empty directory, or merge nothing: two repositories stay two. Nothing was written"
            )
        }
        let identity = try DiskIdentity(repository.path)
        for copy in copies.online {
            guard let other = copy.repository, other.copy.copy == repository.copy.copy else { continue }
            if copy.identity != identity {
                throw RepositoryCopies.cloned(copy.record.label, other.path, repository.path)
            }
            throw VarveError(
                .invalid, "\(repository.path) is the copy '\(copy.record.label)' already",
                hint: "'varve copy sync' brings it up to date")
        }
        return try enter(repository, identity)
    }

    private func enter(_ repository: Repository, _ identity: DiskIdentity?) throws -> RepositoryCopies.Copy {
        let heard = try copies.online.compactMap(\.repository).compactMap {
            try CopyRecords($0.path, repository: $0.id).records[repository.copy.copy]
        }
        let newest = heard.max { $0.generation < $1.generation }
        // Its own record becomes the newest of all, so that nobody takes it for rolled back.
        let record = try repository.sign(newest ?? CopyRecord.first(repository.copy, at: repository.path)) {
            $0.generation = max($0.generation, (newest?.generation ?? 0) + 1)
            $0.removed = nil
            $0.detached = nil
        }
        for copy in copies.online {
            guard let other = copy.repository else { continue }
            let own = try CopyRecords(other.path, repository: other.id).records[other.copy.copy]
            let theirs = try own ?? other.sign(copy.record) { _ in }
            try other.hear([record])
            try repository.hear([theirs] + copies.copies.map(\.record))
        }
        return RepositoryCopies.Copy(
            record: record, repository: repository, lacking: nil,
            identity: try identity ?? DiskIdentity(repository.path))
    }

    /// Takes down that the disk may be removed, on the copy and on the others, and flushes its file system.
    ///
    /// - Precondition: it is there, and has just been synchronized.
    public func detach(_ copy: RepositoryCopies.Copy) throws {
        let repository = try copy.there()
        let verified = try repository.newestVerified(since: 0, try repository.manifests.list())
        let record = try repository.sign(copy.record) {
            $0.detached = $0.written
            $0.verifiedSnapshot = verified?.name
        }
        for other in copies.online where other.record.copy != copy.record.copy {
            try other.repository?.hear([record])
        }
        try Directory.syncFileSystem(repository.path)
    }

    /// The repository goes on without it. Nothing on its disk is deleted.
    public func remove(_ copy: RepositoryCopies.Copy) throws {
        guard copy.record.copy != copies.lead.copy.copy else {
            throw VarveError(
                .invalid, "the copy '\(copy.record.label)' is the one that was named by -r",
                hint: "name another copy by -r to forget this one")
        }
        let record = copy.record.next { $0.removed = $0.written }
        for other in copies.online where other.record.copy != copy.record.copy {
            try other.repository?.hear([record])
        }
    }
}
