import VarveFiles
import VarveFormat
import VarveStorage

/// What one copy knows of all copies: the documents in its `copies/`, and the list in `copies.json` of which others there are.
///
/// A repository that never had a second copy has none. A record that is damaged counts as not there: the others say
/// the same, and the next record writes it anew. Of another copy the list's record counts then.
package struct CopyRecords: Sendable {
    package private(set) var records: [String: CopyRecord] = [:]
    /// Ids of other copies that only the list names: their records were lost.
    package private(set) var lost: Set<String> = []
    private let storage: any CopyStorage
    private let repository: String
    private let own: String
    private var list: CopyList?

    package init(_ repository: Repository) throws(VarveError) {
        storage = repository.storage
        self.repository = repository.id.description
        own = repository.copy.copy
        for name in try storage.documentNames(in: CopyRecord.directory) where name.hasSuffix(".json") {
            let path = "\(CopyRecord.directory)/\(name)"
            let read = Notices.attempt(
                .remark, Path.join(storage.location, path),
                "it can't be read: others say the same of the copy"
            ) { try ChecksummedDocument.read(CopyRecord.self, from: path, in: storage) }
            guard let record = read, isValid(record), record.copy + ".json" == name
            else { continue }
            records[record.copy] = record
        }
        list =
            Notices.attempt(
                .remark, Path.join(storage.location, CopyList.fileName),
                "it can't be read: the records in \(CopyRecord.directory)/ say which copies there are"
            ) { try ChecksummedDocument.readIfThere(CopyList.self, from: CopyList.fileName, in: storage) }
            ?? nil
        // A copy's own record is older there than others know it.
        for record in list?.copies ?? []
        where records[record.copy] == nil && record.copy != own && isValid(record) {
            records[record.copy] = record
            lost.insert(record.copy)
        }
    }

    private func isValid(_ record: CopyRecord) -> Bool {
        record.format == RepositoryDescription.currentFormat && record.repository == repository
    }

    /// Durable when it returns. An older record than the one that is there is not written.
    mutating func write(_ record: CopyRecord) throws(VarveError) {
        if let known = records[record.copy],
            known.generation > record.generation || known == record && !lost.contains(record.copy)
        {
            return
        }
        try ChecksummedDocument.write(record, to: "\(CopyRecord.directory)/\(record.copy).json", in: storage)
        records[record.copy] = record
        lost.remove(record.copy)
        let new = CopyList(repository: repository, copies: records.values.filter { $0.copy != own })
        if list.map({ !$0.names(new) }) ?? !new.copies.isEmpty {
            try ChecksummedDocument.write(new, to: CopyList.fileName, in: storage)
            list = new
        }
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
    package func updateRecord(_ known: CopyRecord, _ change: (inout CopyRecord) -> Void) throws(VarveError)
        -> CopyRecord
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
    package func learn(_ others: [CopyRecord]) throws(VarveError) {
        var records = try CopyRecords(self)
        for record in others where record.copy != copy.copy { try records.write(record) }
    }
}
