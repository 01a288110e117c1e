import VarveBlobs
import VarveCodec
import VarveFormat
import VarveStorage

/// The manifests of a storage. Publishing one is the commit of a snapshot.
package struct ManifestStore: Sendable {
    /// Decoded; of some 200,000 files. Reading one takes some ten times its size in memory.
    package static let maximumLength = 128 << 20
    /// A stored byte of a manifest gives at most so many: of each file there is at least its map's id, which does not
    /// compress. More is made to use up memory.
    static let maximumExpansion = 128
    /// Values in a stored byte, likewise.
    static let maximumValues = 8

    /// What a manifest of so many stored bytes may be decoded: small ones of equal files may expand more.
    static func limits(stored: Int) -> (length: Int, values: Int) {
        (
            min(maximumLength, (1 << 20) + stored * maximumExpansion),
            min(maximumLength / 16, JSON.valueLimit + stored * maximumValues)
        )
    }

    let storage: any Storage
    let repository: RepositoryID

    package init(storage: any Storage, repository: RepositoryID) {
        self.storage = storage
        self.repository = repository
    }

    /// Oldest first.
    package func list() throws(VarveError) -> [SnapshotReference] {
        try storage.list(.manifest).compactMap { SnapshotReference(name: $0) }.sorted()
    }

    package func read(_ reference: SnapshotReference) throws(VarveError) -> Manifest {
        let object = ObjectName(.manifest, reference.name)
        let place = "\(storage.location)/\(object)"
        let stored = try NamedBytes.read(
            object, in: storage, limit: Self.maximumLength, what: "the manifest",
            hint: "run 'varve heal'; if no other copy has this file, use another snapshot")
        let manifest = try decode(stored, "manifest \(reference)")
        guard manifest.format == Manifest.currentFormat else {
            throw VarveError(
                .unsupported,
                "the manifest has format \(manifest.format); this varve reads \(Manifest.currentFormat)",
                location: place, hint: "use a newer varve")
        }
        try manifest.requireKnownRequirements(location: place)
        guard manifest.sequence == reference.sequence, manifest.repository == repository.description else {
            throw VarveError(.corrupt, "the manifest belongs to another repository or place", location: place)
        }
        return manifest
    }

    /// In memory that what is stored pays for.
    private func decode(_ stored: [UInt8], _ what: String) throws(VarveError) -> Manifest {
        let limits = Self.limits(stored: stored.count)
        let json = try stored.withBytes { (bytes) throws(VarveError) in
            try Decompressor().decompress(bytes, limit: limits.length)
        }
        return try JSON.decode(Manifest.self, from: json, what: what, valueLimit: limits.values)
    }

    /// The commit: when this returns, the snapshot exists. The caller holds the repository's lock.
    ///
    /// - Throws: before anything is written, if what would be stored could not be read again as this manifest.
    package func publish(_ manifest: Manifest) throws(VarveError) -> SnapshotReference {
        let json = try JSON.encode(manifest)
        var stored = [UInt8](repeating: 0, count: Compressor.bound(json.count))
        let length = try json.withBytes { (json) throws(VarveError) in
            try stored.withMutableBytes { (room) throws(VarveError) in
                try Compressor(level: 9).compress(json, into: room)
            }
        }
        stored.removeLast(stored.count - (length ?? 0))
        let decoded = try stored.withBytes { (bytes) throws(VarveError) in
            try Decompressor().decompress(bytes, limit: max(json.count, 1))
        }
        guard decoded == json else {
            throw VarveError(.corrupt, "the manifest does not decompress to what was compressed")
        }
        // Nothing is committed that no reader takes.
        guard try decode(stored, "the new manifest") == manifest else {
            throw VarveError(.corrupt, "the manifest does not read back as what was written")
        }
        let hash = stored.withUnsafeBytes { Hasher.name(of: $0) }
        let reference = SnapshotReference(sequence: manifest.sequence, hash: hash)
        try stored.withBytes { (bytes) throws(VarveError) in
            try storage.publish(ObjectName(.manifest, reference.name), [bytes])
        }
        summarize(reference, manifest)
        return reference
    }
}
