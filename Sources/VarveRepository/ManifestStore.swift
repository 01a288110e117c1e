import VarveCodec
import VarveFormat
import VarveStorage

/// The manifests of a storage. Publishing one is the commit of a snapshot.
public struct ManifestStore: Sendable {
    /// A manifest of a million files is below this.
    static let maximumLength = 1 << 30

    let storage: any Storage
    let repository: RepositoryID

    public init(storage: any Storage, repository: RepositoryID) {
        self.storage = storage
        self.repository = repository
    }

    /// Oldest first.
    public func list() throws -> [SnapshotReference] {
        try storage.list(.manifest).compactMap { SnapshotReference(name: $0) }.sorted()
    }

    public func read(_ reference: SnapshotReference) throws -> Manifest {
        let object = ObjectName(.manifest, reference.name)
        let place = "\(storage.location)/\(object)"
        let stored = try storage.readAll(object, limit: Self.maximumLength)
        guard stored.withUnsafeBytes({ Hasher.name(of: $0) }) == reference.hash else {
            throw VarveError(
                .corrupt, "the manifest is not what its name promises", location: place,
                hint:
                    "the snapshot is lost unless another copy of the repository has this file: use another snapshot"
            )
        }
        let json = try stored.withUnsafeBytes { try Decompressor().decompress($0, limit: Self.maximumLength) }
        let manifest = try JSON.decode(Manifest.self, from: json, what: "manifest \(reference)")
        guard manifest.format == Manifest.currentFormat else {
            throw VarveError(
                .unsupported,
                "the manifest has format \(manifest.format); this varve reads \(Manifest.currentFormat)",
                location: place, hint: "use a newer varve")
        }
        guard manifest.sequence == reference.sequence, manifest.repository == repository.description else {
            throw VarveError(.corrupt, "the manifest belongs to another repository or place", location: place)
        }
        return manifest
    }

    /// The commit: when this returns, the snapshot exists. The caller holds the repository's lock.
    ///
    /// - Throws: before anything is written, if what would be stored could not be read again as this manifest.
    package func publish(_ manifest: Manifest) throws -> SnapshotReference {
        let json = try JSON.encode(manifest)
        var stored = [UInt8](repeating: 0, count: Compressor.bound(json.count))
        let length = try json.withUnsafeBytes { json in
            try stored.withUnsafeMutableBytes { try Compressor(level: 9).compress(json, into: $0) }
        }
        stored.removeLast(stored.count - (length ?? 0))
        let decoded = try stored.withUnsafeBytes {
            try Decompressor().decompress($0, limit: Self.maximumLength)
        }
        guard decoded == json else {
            throw VarveError(.corrupt, "the manifest does not decompress to what was compressed")
        }
        guard try JSON.decode(Manifest.self, from: decoded, what: "the manifest") == manifest else {
            throw VarveError(.corrupt, "the manifest does not read back as what was written")
        }
        let hash = stored.withUnsafeBytes { Hasher.name(of: $0) }
        let reference = SnapshotReference(sequence: manifest.sequence, hash: hash)
        try stored.withUnsafeBytes { try storage.publish(ObjectName(.manifest, reference.name), [$0]) }
        summarize(reference, manifest)
        return reference
    }
}
