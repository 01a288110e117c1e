import VarveCodec
import VarveFormat
import VarveStorage

/// A snapshot by its manifest's name: `0000000012-<hash of the stored bytes>`.
public struct SnapshotReference: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var sequence: UInt64
    public var hash: ContentID

    public init(sequence: UInt64, hash: ContentID) {
        self.sequence = sequence
        self.hash = hash
    }

    /// Nil unless the name is spelled exactly as `name` spells it, and another number can follow.
    public init?(name: String) {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let sequence = UInt64(parts[0]), sequence < .max,
            let hash = ContentID(hex: parts[1])
        else {
            return nil
        }
        self.init(sequence: sequence, hash: hash)
        guard self.name == name else { return nil }
    }

    public var name: String {
        let digits = String(sequence)
        return String(repeating: "0", count: max(0, 10 - digits.count)) + digits + "-" + hash.hex
    }

    /// What people type: the number and the first digits of the hash.
    public var description: String { "\(sequence)-\(hash.hex.prefix(8))" }

    public static func < (a: SnapshotReference, b: SnapshotReference) -> Bool {
        (a.sequence, a.hash) < (b.sequence, b.hash)
    }
}

/// The manifests of a storage. Publishing one is the commit of a snapshot.
public struct ManifestStore: Sendable {
    /// A manifest of a million files is below this.
    static let maximumLength = 1 << 30

    private let storage: any Storage
    private let repository: RepositoryID

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

    /// The commit: when this returns, the snapshot exists.
    func publish(_ manifest: Manifest) throws -> SnapshotReference {
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
        let hash = stored.withUnsafeBytes { Hasher.name(of: $0) }
        let reference = SnapshotReference(sequence: manifest.sequence, hash: hash)
        try stored.withUnsafeBytes { try storage.publish(ObjectName(.manifest, reference.name), [$0]) }
        return reference
    }
}
