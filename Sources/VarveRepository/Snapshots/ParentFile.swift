import VarveBlobs
import VarveFiles
import VarveFormat
import VarveStorage

/// The version of a file that an earlier snapshot holds, looked at from front to back: what its new version is
/// compared with, place by place.
package struct ParentFile {
    private var map: ExtentMapReader
    private var next: MappedExtent?

    /// - Throws: what reading the map throws; a writer then goes on without a parent.
    package init(_ file: Manifest.StoredFile, reader: BlobReader) throws(VarveError) {
        map = try ExtentMapReader(file, reader: reader)
        next = try map.next()
    }

    /// The extent that was at this offset, nil if there was none or only zeros.
    ///
    /// - Precondition: offsets ascend from call to call.
    package mutating func extent(at offset: UInt64) throws(VarveError) -> ContentID? {
        while let extent = next, extent.offset < offset { next = try map.next() }
        guard let extent = next, extent.offset == offset else { return nil }
        return extent.id
    }
}

/// An earlier snapshot of the same source.
package struct ParentSnapshot: Sendable {
    package var reference: SnapshotReference
    /// Something in it is damaged, as the manifest says.
    package var isTainted: Bool
    /// Nil for what is no environment.
    package var endOfLog: LSN?
    private var files: [String: Manifest.StoredFile]
    private var databases: [String: Manifest.StoredFile]

    package init(reference: SnapshotReference, manifest: Manifest) {
        self.reference = reference
        isTainted = manifest.tainted
        endOfLog = manifest.recovery?.endOfLog
        files = Dictionary(manifest.files.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        let known = manifest.files.compactMap { file in file.database?.uid.map { ($0, file) } }
        databases = Dictionary(known, uniquingKeysWith: { first, _ in first })
    }

    /// Files with a uid.
    package var allDatabases: [Manifest.StoredFile] { Array(databases.values) }

    package func file(_ path: String) -> Manifest.StoredFile? { files[path] }

    /// The database of this id: under another path if it was renamed since.
    package func database(uid: String) -> Manifest.StoredFile? { databases[uid] }

    /// How many manifests are read: beyond, a source counts as new.
    private static let searchLimit = 1000

    /// The newest whole snapshot of a source, by its present name, or else the newest partial one; nil if there is none
    /// that can be read. A partial one would leave most files without an earlier version.
    ///
    /// Summaries tell which manifests need not be read; what they say of one that is chosen is not relied on.
    package static func newest(of source: String, in repository: Repository, _ catalog: SourceCatalog)
        throws(VarveError)
        -> ParentSnapshot?
    {
        let summaries = try repository.manifests.storedSummaries()
        var read = 0
        var partial: ParentSnapshot?
        for reference in try repository.manifests.list().reversed() {
            if let known = summaries[reference] {
                if catalog.current(known.source) != source { continue }
                if known.isPartial && partial != nil { continue }
            }
            read += 1
            if read > searchLimit { break }
            // One that is damaged is verification's business; an older one serves as well.
            let manifest: Manifest
            do {
                manifest = try repository.manifests.read(reference)
            } catch let error where error.isAccess {
                throw error.unreadable("the manifest of snapshot \(reference)")
            } catch {
                Notices.note(
                    .remark, "\(ObjectName(.manifest, reference.name))",
                    "it can't be read: an older snapshot is compared with", error)
                continue
            }
            if catalog.current(manifest.sourceName) == source {
                let found = ParentSnapshot(reference: reference, manifest: manifest)
                if !manifest.isPartial { return found }
                partial = partial ?? found
            }
        }
        return partial
    }
}
