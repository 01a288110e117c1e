import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// The events of a storage.
package struct EventStore: Sendable {
    let storage: any Storage
    let repository: RepositoryID

    package init(storage: any Storage, repository: RepositoryID) {
        self.storage = storage
        self.repository = repository
    }

    /// Oldest first.
    package func list() throws(VarveError) -> [SnapshotReference] {
        try storage.list(.event).compactMap { SnapshotReference(name: $0) }.sorted()
    }

    package func read(_ reference: SnapshotReference) throws(VarveError) -> Event {
        let object = ObjectName(.event, reference.name)
        let place = "\(storage.location)/\(object)"
        let stored = try NamedBytes.read(
            object, in: storage, limit: Event.maximumLength, what: "the event",
            hint: "run 'varve heal' to replace it from a good copy")
        let json = try stored.withBytes { (bytes) throws(VarveError) in
            try Decompressor().decompress(bytes, limit: Event.maximumLength)
        }
        let event = try JSON.decode(Event.self, from: json, what: "event \(reference)")
        guard event.format == Event.currentFormat else {
            throw VarveError(
                .unsupported, "the event has format \(event.format); this varve reads \(Event.currentFormat)",
                location: place, hint: "use a newer varve")
        }
        guard event.sequence == reference.sequence, event.repository == repository.description else {
            throw VarveError(.corrupt, "the event belongs to another repository or place", location: place)
        }
        return event
    }

    /// What became of the names of sources. An event that can't be read is verification's business: without it a source
    /// has an old name, and nothing is lost.
    package func catalog() throws(VarveError) -> SourceCatalog {
        SourceCatalog(
            try list().compactMap { reference in
                Notices.attempt(
                    .remark, "\(ObjectName(.event, reference.name))",
                    "it can't be read: a source may have an old name"
                ) { (reference: reference, event: try read(reference)) }
            })
    }

    /// Durable when it returns. The caller holds the lock of every copy that the storage writes to.
    @discardableResult
    package func publish(_ event: Event) throws(VarveError) -> SnapshotReference {
        let json = try JSON.encode(event)
        var stored = [UInt8](repeating: 0, count: Compressor.bound(json.count))
        let length = try json.withBytes { (json) throws(VarveError) in
            try stored.withMutableBytes { (room) throws(VarveError) in
                try Compressor(level: 9).compress(json, into: room)
            }
        }
        stored.removeLast(stored.count - (length ?? 0))
        guard stored.count <= Event.maximumLength, json.count <= Event.maximumLength else {
            throw VarveError(.invalid, "an event of \(json.count) bytes is too large")
        }
        let reference = SnapshotReference(
            sequence: event.sequence, hash: stored.withUnsafeBytes { Hasher.name(of: $0) })
        try stored.withBytes { (bytes) throws(VarveError) in
            try storage.publish(ObjectName(.event, reference.name), [bytes])
        }
        return reference
    }
}
