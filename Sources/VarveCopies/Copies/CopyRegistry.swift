import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// Which copies a repository has: adding one, saying that its disk may go, forgetting it.
package struct CopyRegistry: Sendable {
    private let copies: RepositoryCopies

    package init(_ copies: RepositoryCopies) { self.copies = copies }

    /// Makes a copy in an empty or new directory, without objects yet, or takes note of where a copy is now: one that is
    /// known, was forgotten, was rolled back, or was made by an `add` that was cut off. Labels are for people, and so
    /// must differ.
    ///
    /// - Throws: `.wrongDisk` if another repository is there, `.clonedCopy` if that copy is at another place as well,
    ///   `.invalid` if the directory is not empty, the label is taken, or a copy that is there has another label.
    ///   Nothing was written then.
    package func add(at path: String, label: String?, role: String) throws(VarveError) -> RepositoryCopy {
        if try FileStatus.of(Path.join(path, RepositoryDescription.fileName)) != nil {
            return try welcome(try Repository.open(path), label)
        }
        if let refusal = copies.copies[0].refusal { throw refusal }
        let labels = Set(copies.copies.map(\.record.label))
        let free = ((copies.copies.count + 1)...).lazy.map { "copy\($0)" }.first { !labels.contains($0) }
        let label = label ?? free ?? "copy"
        if let taken = copies.copies.first(where: { $0.record.label == label }) {
            throw VarveError(
                .invalid, "there is a copy '\(label)' already (\(taken.record.path))",
                hint: "choose another name with --label")
        }
        return try enter(try copies.named.createCopy(at: path, label: label, role: role), nil)
    }

    private func welcome(_ repository: Repository, _ label: String?) throws(VarveError) -> RepositoryCopy {
        guard repository.id == copies.named.id else {
            throw VarveError(
                .wrongDisk,
                "\(repository.path) belongs to another repository (\(repository.id)), not to \(copies.named.id)",
                hint:
                    "choose an empty directory: two repositories can't be merged. Nothing was written"
            )
        }
        if repository.copy.copy != copies.named.copy.copy, let refusal = copies.copies[0].refusal {
            throw refusal
        }
        if let label, label != repository.copy.label {
            throw VarveError(
                .invalid, "\(repository.path) is the copy '\(repository.copy.label)', not '\(label)'",
                hint: "leave --label out: a copy keeps its name. Nothing was written")
        }
        let identity = try DiskIdentity(repository.path)
        for copy in copies.online {
            guard let other = copy.repository, other.copy.copy == repository.copy.copy else { continue }
            if let refusal = copy.refusal, refusal.code == .clonedCopy { throw refusal }
            if copy.identity != identity {
                throw RepositoryCopies.cloned(copy.record.label, other.path, repository.path)
            }
            if other === copies.named, copy.refusal == nil {
                throw VarveError(
                    .invalid, "\(repository.path) is the copy '\(copy.record.label)' that -r names",
                    hint: "name the directory of another copy, or an empty one. Nothing was written")
            }
        }
        return try enter(repository, identity)
    }

    private func enter(_ repository: Repository, _ identity: DiskIdentity?) throws(VarveError)
        -> RepositoryCopy
    {
        let heard = copies.online.compactMap(\.repository).compactMap { other -> CopyRecord? in
            Notices.attempt(.remark, other.path, "its records of copies can't be read") {
                try CopyRecords(other).records[repository.copy.copy]
            } ?? nil
        }
        let newest = heard.max { $0.generation < $1.generation }
        // Its own record becomes the newest of all, so that nobody takes it for rolled back.
        let record = try repository.updateRecord(
            newest ?? CopyRecord.first(repository.copy, at: repository.path)
        ) {
            $0.generation = max($0.generation, (newest?.generation ?? 0) + 1)
            $0.removed = nil
            $0.detached = nil
        }
        for copy in copies.writable where copy.record.copy != record.copy {
            guard let other = copy.repository else { continue }
            do throws(VarveError) {
                let own = try CopyRecords(other).records[other.copy.copy]
                let theirs = if let own { own } else { try other.updateRecord(copy.record) { _ in } }
                try other.learn([record])
                try repository.learn([theirs] + copies.copies.map(\.record))
            } catch {
                // Another one hears at its next record: what is wrong with it is told then.
                if other === copies.named { throw error }
                Notices.note(.remark, other.path, Repository.unheard, error)
            }
        }
        let identity = if let identity { identity } else { try DiskIdentity(repository.path) }
        return RepositoryCopy(record: record, repository: repository, lacking: nil, identity: identity)
    }

    /// Takes down that the disk may be removed, on the copy and on the others, and flushes its file system.
    ///
    /// - Precondition: it is there, and has just been synchronized.
    package func detach(_ copy: RepositoryCopy) throws(VarveError) {
        let repository = try copy.writable()
        let verified = try repository.newestVerified(since: 0, try repository.manifests.list())
        let record = try repository.updateRecord(copy.record) {
            $0.detached = $0.written
            $0.verifiedSnapshot = verified?.name
        }
        try tell(record)
        try Directory.syncFileSystem(repository.path)
    }

    /// The repository goes on without it. Nothing on its disk is deleted.
    package func remove(_ copy: RepositoryCopy) throws(VarveError) {
        guard copy.record.copy != copies.named.copy.copy else {
            throw VarveError(
                .invalid, "the copy '\(copy.record.label)' is the one that was named by -r",
                hint: "name another copy by -r to forget this one")
        }
        let record = copy.record.next { $0.removed = $0.written }
        if let refusal = copies.copies[0].refusal { throw refusal }
        try tell(record)
    }

    /// The named copy hears it, or it is an error; another that can't, hears it at its next record.
    private func tell(_ record: CopyRecord) throws(VarveError) {
        for other in copies.writable where other.record.copy != record.copy {
            do {
                try other.repository?.learn([record])
            } catch {
                if other.repository === copies.named { throw error }
                Notices.note(.remark, other.record.path, Repository.unheard, error)
            }
        }
    }
}
