import VarveFiles
import VarveFormat

/// What one copy knows of all copies: the documents in its `copies/`.
///
/// A repository that never had a second copy has none. A record that is damaged counts as not there: the others say
/// the same, and the next receipt writes it anew.
struct CopyRecords: Sendable {
    /// Of the copy whose directory it is.
    let root: String
    private(set) var records: [String: CopyRecord] = [:]

    init(_ root: String, repository: RepositoryID) throws {
        self.root = root
        let directory = Self.directory(root)
        guard try FileStatus.of(directory) != nil else { return }
        for name in try Directory.list(directory) where name.hasSuffix(".json") {
            let path = Path.join(directory, name)
            guard let record = try? SealedDocument.read(CopyRecord.self, from: path),
                record.format == RepositoryDescription.currentFormat, record.copy + ".json" == name,
                record.repository == repository.description
            else { continue }
            records[record.copy] = record
        }
    }

    private static func directory(_ root: String) -> String { Path.join(root, CopyRecord.directory) }

    /// Durable when it returns. An older record than the one that is there is not written.
    mutating func write(_ record: CopyRecord) throws {
        if let known = records[record.copy], known.generation > record.generation || known == record {
            return
        }
        let directory = Self.directory(root)
        if try FileStatus.of(directory) == nil {
            try Directory.create(forOwner: directory)
            try Directory.sync(root)
        }
        try SealedDocument.write(record, to: Path.join(directory, record.copy + ".json"))
        records[record.copy] = record
    }
}

extension CopyRecord {
    /// The next state of a copy, as the copy itself writes it.
    func next(_ change: (inout CopyRecord) -> Void) -> CopyRecord {
        var next = self
        next.generation += 1
        next.mark = CopyRecord.newMark()
        next.written = Clock.now()
        next.host = Host.name
        change(&next)
        return next
    }

    static func newMark() -> String { Hex.encode(Host.randomBytes(8)) }

    static func first(_ description: CopyDescription, at path: String) -> CopyRecord {
        CopyRecord(
            description, path: (try? Path.resolve(path)) ?? path, host: Host.name, mark: newMark(),
            written: Clock.now())
    }
}
