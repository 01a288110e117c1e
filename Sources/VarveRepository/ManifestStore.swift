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
        var name = name
        let parsed = name.withUTF8 { name -> SnapshotReference? in
            let digits = name.prefix { $0 != UInt8(ascii: "-") }
            // Ten digits at least, and not one zero more than that takes.
            guard digits.count >= 10, digits.count == 10 || digits.first != UInt8(ascii: "0"),
                digits.count < name.count
            else { return nil }
            var sequence: UInt64 = 0
            for digit in digits {
                guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
                let (tens, isLarge) = sequence.multipliedReportingOverflow(by: 10)
                let (sum, isLarger) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
                if isLarge || isLarger { return nil }
                sequence = sum
            }
            let hash = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(name)[(digits.count + 1)...])
            guard sequence < .max, let hash = ContentID(hexDigits: hash) else { return nil }
            return SnapshotReference(sequence: sequence, hash: hash)
        }
        guard let parsed else { return nil }
        self = parsed
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
