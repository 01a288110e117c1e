import VarveFiles
import VarveFormat
import VarveStorage

/// `parity.json`: how much parity this copy keeps. Of this copy alone: each disk may have another setting.
public struct ParityDescription: Codable, Hashable, Sendable {
    public static let fileName = "parity.json"

    public var format: Int
    public var repository: String
    public var percent: Int

    init(repository: RepositoryID, percent: Int) {
        format = RepositoryDescription.currentFormat
        self.repository = repository.description
        self.percent = percent
    }

    static func check(_ percent: Int) throws {
        guard ParityShape.percents.contains(percent) else {
            throw VarveError(.invalid, "parity of \(percent) % can't be: 1 to 50 can")
        }
    }
}

extension Repository {
    /// In percent; nil if this copy keeps none.
    public func parity() throws -> Int? {
        let file = Path.join(path, ParityDescription.fileName)
        let root = try storage.root()
        guard try root.status(of: ParityDescription.fileName) != nil else { return nil }
        do {
            let description = try SealedDocument.read(
                ParityDescription.self, from: ParityDescription.fileName, in: root)
            guard description.format == RepositoryDescription.currentFormat,
                description.repository == id.description,
                ParityShape.percents.contains(description.percent)
            else { throw VarveError(.corrupt, "parity.json is that of another repository", location: file) }
            return description.percent
        } catch var error as VarveError where error.code == .corrupt {
            error.hint = "'varve parity add PERCENT' writes it anew"
            throw error
        }
    }

    /// Sets the percentage, and brings everything that is stored under parity of it. Takes the writer's lock.
    public func addParity(
        percent: Int, isCancelled: @escaping @Sendable () -> Bool = { false },
        progress: @escaping @Sendable (_ item: String, _ bytesDone: UInt64, _ bytesTotal: UInt64) -> Void =
            { _, _, _ in }
    ) throws -> ParityReport {
        try ParityDescription.check(percent)
        let lock = try WriterLock(self)
        defer { withExtendedLifetime(lock) {} }
        try storage.removeTemporaryFiles()
        try SealedDocument.write(
            ParityDescription(repository: id, percent: percent), to: ParityDescription.fileName,
            in: storage.root())
        let writer = ParityWriter(self, percent: percent, isCancelled: isCancelled, progress: progress)
        return try writer.cover(renewing: true)
    }

    /// Covers what a backup has added; nil if this copy keeps no parity. The caller holds the writer's lock.
    ///
    /// The snapshot is committed already: that parity fails must be said, and changes nothing about it.
    public func updateParity(
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) -> Result<ParityReport, VarveError>? {
        do {
            guard let percent = try parity() else { return nil }
            return .success(try ParityWriter(self, percent: percent, isCancelled: isCancelled).cover())
        } catch {
            var error = error as? VarveError ?? VarveError(.system, "\(error)")
            error.location = error.location ?? path
            return .failure(error)
        }
    }
}
