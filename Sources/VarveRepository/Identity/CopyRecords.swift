import VarveFiles
import VarveFormat
import VarveStorage

/// What one copy knows of all copies: the documents in its `copies/`.
///
/// A repository that never had a second copy has none. A record that is damaged counts as not there: the others say
/// the same, and the next record writes it anew.
package struct CopyRecords: Sendable {
    package private(set) var records: [String: CopyRecord] = [:]
    private let storage: any CopyStorage

    package init(_ repository: Repository) throws {
        storage = repository.storage
        for name in try storage.documentNames(in: CopyRecord.directory) where name.hasSuffix(".json") {
            let path = "\(CopyRecord.directory)/\(name)"
            let read = Notices.attempt(
                .remark, Path.join(storage.location, path),
                "it can't be read: others say the same of the copy"
            ) { try ChecksummedDocument.read(CopyRecord.self, from: path, in: storage) }
            guard let record = read, record.format == RepositoryDescription.currentFormat,
                record.copy + ".json" == name,
                record.repository == repository.id.description
            else { continue }
            records[record.copy] = record
        }
    }

    /// Durable when it returns. An older record than the one that is there is not written.
    mutating func write(_ record: CopyRecord) throws {
        if let known = records[record.copy], known.generation > record.generation || known == record {
            return
        }
        try ChecksummedDocument.write(record, to: "\(CopyRecord.directory)/\(record.copy).json", in: storage)
        records[record.copy] = record
    }
}

extension CopyRecord {
    /// The next state of a copy, as the copy itself writes it.
    package func next(_ change: (inout CopyRecord) -> Void) -> CopyRecord {
        var next = self
        next.generation += 1
        next.mark = CopyRecord.newMark()
        next.written = Clock.now()
        next.host = Host.name
        change(&next)
        return next
    }

    static func newMark() -> String { Hex.encode(Host.randomBytes(8)) }

    package static func first(_ description: CopyDescription, at path: String) -> CopyRecord {
        CopyRecord(
            description, path: (try? Path.resolve(path)) ?? path, host: Host.name, mark: newMark(),
            written: Clock.now())
    }
}

extension Repository {
    /// Writes this copy's own record anew. Everything that it counts must be durable.
    package func updateRecord(_ known: CopyRecord, _ change: (inout CopyRecord) -> Void) throws -> CopyRecord
    {
        var records = try CopyRecords(self)
        let here = (try? Path.resolve(path)) ?? path
        let next = (records.records[copy.copy] ?? known).next {
            $0.path = here
            change(&$0)
        }
        try records.write(next)
        return next
    }

    /// Of a copy that could not `learn`, for notices.
    package static let unheard = "it does not hear now what other copies are: it does at its next record"

    /// Takes down what others say of themselves.
    package func learn(_ others: [CopyRecord]) throws {
        var records = try CopyRecords(self)
        for record in others where record.copy != copy.copy { try records.write(record) }
    }
}
