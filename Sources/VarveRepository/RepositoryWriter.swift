import VarveFiles
import VarveFormat
import VarveStorage

/// One backup's way of writing: blobs in order, then the commit. Holds the repository's writer lock.
///
/// Nothing a snapshot refers to is ever changed. A run that ends without `commit` leaves packs that nothing refers
/// to; the next run finds them and uses what is in them.
public final class RepositoryWriter {
    public let repository: Repository
    public let index: RepositoryIndex
    private let lock: FileLock
    private let packs: PackWriter
    /// Blobs on their way into a pack that is not durable yet.
    private var pending: Set<ContentID> = []

    /// - Throws: `.locked` if another writer is at work.
    public init(_ repository: Repository) throws {
        self.repository = repository
        let path = Path.join(repository.path, "lock")
        guard let lock = try FileLock.acquire(path, .exclusive) else {
            throw VarveError(
                .locked, "another varve is writing to \(repository.path)",
                location: FileLock.holder(path), hint: "wait until it is done and try again")
        }
        try lock.describeHolder("process \(Host.processID) on \(Host.name) since \(Clock.now())")
        self.lock = lock
        try repository.storage.removeTemporaryFiles()
        index = try repository.openIndex(isWriter: true)
        try index.confirmUnlisted()
        let parameters = repository.description.parameters
        let largest = max(Int(parameters.extentSize), ExtentMapNode.maximumLength)
        packs = PackWriter(
            storage: repository.storage, repository: repository.id, packSize: Int(parameters.packSize),
            largestBlob: BlobEncoder.bound(largest))
    }

    deinit { packs.close() }

    /// Whether the blob is durable already. From any thread; what this run has appended but not published is not
    /// seen, and `append` drops it when it comes again.
    public func contains(_ id: ContentID) -> Bool { index.contains(id) }

    /// Appends an encoded blob.
    ///
    /// - Returns: false if the same blob came before; then nothing is stored.
    public func append(_ header: Pack.BlobHeader, _ blob: UnsafeRawBufferPointer) throws -> Bool {
        if pending.contains(header.id) || contains(header.id) { return false }
        pending.insert(header.id)
        try packs.append(header, blob)
        try note(try packs.takePublished())
        return true
    }

    private func note(_ published: [PackWriter.Published]) throws {
        for pack in published {
            try index.add(pack: pack.pack, entries: pack.entries)
            for entry in pack.entries { pending.remove(entry.header.id) }
        }
    }

    /// Makes every appended blob durable, then the index.
    public func flush() throws {
        try note(try packs.finish())
        try index.flush()
    }

    /// The snapshot that comes before the one this writer commits, nil for the first.
    public func latest() throws -> SnapshotReference? { try repository.manifests.list().last }

    /// Packs, then index, then the manifest: in this order, each durable before the next.
    public func commit(_ manifest: Manifest) throws -> SnapshotReference {
        try flush()
        return try repository.manifests.publish(manifest)
    }

    /// Brings what was committed under parity; nil if this copy keeps none.
    public func updateParity(
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) -> Result<ParityReport, VarveError>? { repository.updateParity(isCancelled: isCancelled) }
}
