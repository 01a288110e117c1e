import VarveBlobs
import VarveFiles
import VarveFormat
import VarveStorage

/// One backup's way of writing: blobs in order, then the commit. Holds the repository's writer lock.
///
/// Nothing a snapshot refers to is ever changed. A run that ends without `commit` leaves packs that nothing refers
/// to; the next run finds them and uses what is in them.
package final class RepositoryWriter {
    package let repository: Repository
    package let index: RepositoryIndex
    /// What is written to, and read from: one copy, or several.
    package let storage: any Storage
    private let manifests: ManifestStore
    private let destination: any CommitDestination
    private let packs: PackWriter
    /// Blobs on their way into a pack that is not durable yet.
    private var pending: Set<ContentID> = []

    /// Writes to this copy alone.
    ///
    /// - Throws: `.locked` if another writer is at work.
    package convenience init(_ repository: Repository) throws(VarveError) {
        try self.init(to: SingleCopy(repository))
    }

    /// - Throws: `.corrupt` if the repository's index can't be opened for writing, or no number is left;
    ///   `.system` where no thread can be had.
    package init(to destination: any CommitDestination) throws(VarveError) {
        self.destination = destination
        repository = destination.repository
        storage = destination.storage
        manifests = ManifestStore(storage: storage, repository: repository.id)
        index = try RepositoryIndex(storage: storage, repository: repository.id, isWriter: true)
        try index.confirmUnlisted()
        _ = try Self.nextSequence(in: storage)
        let parameters = repository.description.parameters
        let largest = max(Int(parameters.extentSize), ExtentMapNode.maximumLength)
        packs = try PackWriter(
            storage: storage, repository: repository.id, packSize: Int(parameters.packSize),
            largestBlob: BlobEncoder.bound(largest))
    }

    deinit { packs.close() }

    /// Whether the blob is durable already. From any thread; what this run has appended but not published is not
    /// seen, and `append` drops it when it comes again.
    package func contains(_ id: ContentID) -> Bool { index.contains(id) }

    /// Appends an encoded blob.
    ///
    /// - Returns: false if the same blob came before; then nothing is stored.
    package func append(_ header: Pack.BlobHeader, _ blob: UnsafeRawBufferPointer) throws(VarveError) -> Bool
    {
        if pending.contains(header.id) || contains(header.id) { return false }
        pending.insert(header.id)
        try packs.append(header, blob)
        try note(try packs.takePublished())
        return true
    }

    private func note(_ published: [PackWriter.Published]) throws(VarveError) {
        for pack in published {
            try index.add(pack: pack.pack, entries: pack.entries)
            for entry in pack.entries { pending.remove(entry.header.id) }
        }
    }

    /// Makes every appended blob durable, then the index.
    package func flush() throws(VarveError) {
        try note(try packs.finish())
        try index.flush()
    }

    /// The snapshot that comes before the one this writer commits, nil for the first.
    package func latest() throws(VarveError) -> SnapshotReference? { try manifests.list().last }

    /// The number of the snapshot that this writer commits: one more than any that a manifest or an event has.
    ///
    /// - Throws: if there is none left. Only a name that nobody was given by Varve takes the last one.
    package func nextSequence() throws(VarveError) -> UInt64 { try Self.nextSequence(in: storage) }

    package static func nextSequence(in storage: any Storage) throws(VarveError) -> UInt64 {
        let names = try storage.list(.manifest) + storage.list(.event)
        guard let last = names.compactMap({ SnapshotReference(name: $0) }).max() else { return 1 }
        guard last.sequence < SnapshotReference.maximumSequence else {
            throw VarveError(
                .corrupt, "\(last.name) has the last number that there is, so no snapshot can follow it",
                location: storage.location,
                hint:
                    "Varve did not give that number: find out who wrote the file, and move it out of the repository"
            )
        }
        return last.sequence + 1
    }

    /// Packs, then index, then the manifest: in this order, each durable before the next.
    ///
    /// - Throws: `.tooFewCopies` if fewer than required have all of it; then it does not count, although some may have
    ///   it.
    package func commit(_ manifest: Manifest) throws(VarveError) -> SnapshotReference {
        try flush()
        try destination.check()
        let reference: SnapshotReference
        do {
            reference = try manifests.publish(manifest)
        } catch var error where error.code == .tooFewCopies {
            error.message =
                "the backup failed, although some copies may hold snapshot \(manifest.sequence) whole: "
                + error.message
            throw error
        }
        try destination.acknowledge(reference)
        return reference
    }
}
