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
        let stored = try NamedBytes.read(
            object, in: storage, limit: Event.maximumLength, what: "the event",
            hint: "run 'varve heal' to replace it from a good copy")
        let json = try stored.withBytes { (bytes) throws(VarveError) in
            try Decompressor().decompress(bytes, limit: Event.maximumLength)
        }
        let event = try JSON.decode(Event.self, from: json, what: "event \(reference)")
        try event.requirePlace(reference, in: repository, location: "\(storage.location)/\(object)")
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
        let stored = try Event.compressed(json)
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
