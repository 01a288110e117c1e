import VarveCodec
import VarveFormat

/// What manifests and events have in common: compressed JSON that says its format, its number and its repository.
protocol NumberedDocument {
    static var currentFormat: Int { get }
    /// As messages call it.
    static var noun: String { get }
    var format: Int { get }
    var sequence: UInt64 { get }
    var repository: String { get }
}

extension Manifest: NumberedDocument {
    static var noun: String { "manifest" }
}

extension Event: NumberedDocument {
    static var noun: String { "event" }
}

extension NumberedDocument {
    /// - Throws: `.unsupported` for a format of a later version, `.corrupt` if it has not the number of its name or is
    ///   another repository's.
    func requirePlace(_ reference: SnapshotReference, in owner: RepositoryID, location: String)
        throws(VarveError)
    {
        guard format == Self.currentFormat else {
            throw VarveError(
                .unsupported,
                "the \(Self.noun) has format \(format); this varve reads \(Self.currentFormat)",
                location: location, hint: "use a newer varve")
        }
        guard sequence == reference.sequence, repository == owner.description else {
            throw VarveError(
                .corrupt, "the \(Self.noun) belongs to another repository or place", location: location)
        }
    }

    /// The bytes that are stored for JSON.
    static func compressed(_ json: [UInt8]) throws(VarveError) -> [UInt8] {
        var stored = [UInt8](repeating: 0, count: Compressor.bound(json.count))
        let length = try json.withBytes { (json) throws(VarveError) in
            try stored.withMutableBytes { (room) throws(VarveError) in
                try Compressor(level: 9).compress(json, into: room)
            }
        }
        guard let length else {
            throw VarveError(
                .invalid, "\(json.count) bytes do not fit into the bound of their compression")
        }
        stored.removeLast(stored.count - length)
        return stored
    }
}
