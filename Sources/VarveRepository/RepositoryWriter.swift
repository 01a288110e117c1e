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
    /// What is written to, and read from: one copy, or several.
    public let storage: any Storage
    private let manifests: ManifestStore
    private let copies: WrittenCopies?
    private let locks: [WriterLock]
    private let packs: PackWriter
    /// Blobs on their way into a pack that is not durable yet.
    private var pending: Set<ContentID> = []

    /// - Parameters:
    ///   - copies: of the repository, which is the first of them; nil if it stands alone.
    ///   - required: so many copies must have a snapshot for it to count.
    /// - Throws: `.locked` if another writer is at work, `.clonedCopy` or `.rolledBack` if nothing may be written to
    ///   it, `.tooFewCopies` if fewer than required can be written to.
    public init(_ repository: Repository, copies known: RepositoryCopies? = nil, required: Int = 1) throws {
        self.repository = repository
        if let refusal = known?.copies[0].refusal { throw refusal }
        let first = try WriterLock(repository)
        try repository.storage.removeTemporaryFiles()
        if let known, known.copies.count > 1 || required > 1 {
            let written = try WrittenCopies(known, required: required)
            copies = written
            storage = written.set
            locks = [first] + written.locks
        } else {
            copies = nil
            storage = repository.storage
            locks = [first]
        }
        manifests = ManifestStore(storage: storage, repository: repository.id)
        index = try RepositoryIndex(storage: storage, repository: repository.id, isWriter: true)
        try index.confirmUnlisted()
        _ = try Self.nextSequence(in: storage)
        let parameters = repository.description.parameters
        let largest = max(Int(parameters.extentSize), ExtentMapNode.maximumLength)
        packs = PackWriter(
            storage: storage, repository: repository.id, packSize: Int(parameters.packSize),
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
    public func latest() throws -> SnapshotReference? { try manifests.list().last }

    /// The number of the snapshot that this writer commits: one more than any that a manifest or an event has.
    ///
    /// - Throws: if there is none left. Only a name that nobody was given by Varve takes the last one.
    public func nextSequence() throws -> UInt64 { try Self.nextSequence(in: storage) }

    static func nextSequence(in storage: any Storage) throws -> UInt64 {
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
    /// With several copies each has acknowledged the snapshot by a receipt of its own, or `acknowledgements` says why not.
    ///
    /// - Throws: `.tooFewCopies` if fewer than required have all of it; then it does not count, although some may have
    ///   it.
    public func commit(_ manifest: Manifest) throws -> SnapshotReference {
        try flush()
        try copies?.set.check()
        let reference: SnapshotReference
        do {
            reference = try manifests.publish(manifest)
        } catch var error as VarveError where error.code == .tooFewCopies {
            error.message =
                "snapshot \(manifest.sequence) does not count, and may be there, whole, on some copies: "
                + error.message
            throw error
        }
        acknowledgements = try copies?.acknowledge(reference) ?? []
        return reference
    }

    /// What each copy says of the snapshot that was committed; empty if the repository has one copy only.
    public private(set) var acknowledgements: [CopyAcknowledgement] = []

    /// Brings what was committed under parity, in each copy that keeps some; nil if none does, the first failure if one
    /// fails. What was skipped is named with the copy's path.
    public func updateParity(
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) -> Result<ParityReport, VarveError>? {
        let results = ([repository] + (copies?.others ?? [])).compactMap { copy in
            copy.updateParity(isCancelled: isCancelled)?.map { report in
                var report = report
                for index in report.skipped.indices {
                    report.skipped[index].object = "\(copy.path)/\(report.skipped[index].object)"
                }
                return report
            }
        }
        guard let first = results.first else { return nil }
        return Result {
            try results.dropFirst().reduce(into: try first.get()) { all, result in all.add(try result.get()) }
        }.mapError { $0 as? VarveError ?? VarveError(.system, "\($0)") }
    }
}
