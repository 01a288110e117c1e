import VarveFiles
import VarveFormat

/// What one copy knows of all copies: the documents in its `copies/`.
///
/// A repository that never had a second copy has none. A record that is damaged counts as not there: the others say
/// the same, and the next record writes it anew.
package struct CopyRecords: Sendable {
    /// Of the copy whose directory it is.
    let root: String
    package private(set) var records: [String: CopyRecord] = [:]
    private let place: RootDirectory

    package init(_ root: String, repository: RepositoryID) throws {
        try self.init(RootDirectory(root), repository: repository)
    }

    /// Of the directory that was opened: what has its path by now may be another one.
    package init(_ repository: Repository) throws {
        try self.init(repository.storage.root(), repository: repository.id)
    }

    private init(_ place: RootDirectory, repository: RepositoryID) throws {
        root = place.path
        self.place = place
        guard try place.status(of: CopyRecord.directory) != nil else { return }
        for name in try place.names(in: CopyRecord.directory) where name.hasSuffix(".json") {
            let path = "\(CopyRecord.directory)/\(name)"
            guard let record = try? ChecksummedDocument.read(CopyRecord.self, from: path, in: place),
                record.format == RepositoryDescription.currentFormat, record.copy + ".json" == name,
                record.repository == repository.description
            else { continue }
            records[record.copy] = record
        }
    }

    /// Durable when it returns. An older record than the one that is there is not written.
    mutating func write(_ record: CopyRecord) throws {
        if let known = records[record.copy], known.generation > record.generation || known == record {
            return
        }
        if try place.makeDirectory(forOwner: CopyRecord.directory) { try place.sync() }
        try ChecksummedDocument.write(record, to: "\(CopyRecord.directory)/\(record.copy).json", in: place)
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

    /// Takes down what others say of themselves.
    package func learn(_ others: [CopyRecord]) throws {
        var records = try CopyRecords(self)
        for record in others where record.copy != copy.copy { try records.write(record) }
    }
}
