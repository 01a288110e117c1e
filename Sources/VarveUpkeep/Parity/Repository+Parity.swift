import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

extension Repository {
    /// Sets the percentage, and brings everything that is stored under parity of it. Takes the writer's lock.
    package func addParity(
        percent: Int, cancellation: Cancellation = Cancellation(),
        progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) throws(VarveError) -> ParityReport {
        try ParityDescription.check(percent)
        let lock = try WriterLock(self)
        defer { withExtendedLifetime(lock) {} }
        try storage.removeTemporaryFiles()
        try ChecksummedDocument.write(
            ParityDescription(repository: id, percent: percent), to: ParityDescription.fileName,
            in: storage)
        let writer = ParityWriter(self, percent: percent, cancellation: cancellation, progress: progress)
        return try writer.cover(renewing: true)
    }

    /// Covers what a backup has added; nil if this copy keeps no parity. The caller holds the writer's lock.
    ///
    /// The snapshot is committed already: that parity fails must be said, and changes nothing about it.
    package func updateParity(
        cancellation: Cancellation = Cancellation()
    ) -> Result<ParityReport, VarveError>? {
        do {
            guard let percent = try parity() else { return nil }
            return .success(try ParityWriter(self, percent: percent, cancellation: cancellation).cover())
        } catch {
            var error = error
            error.location = error.location ?? path
            return .failure(error)
        }
    }
}

extension Sequence<Repository> {
    /// Brings what was committed under parity, in each copy that keeps some; nil if none does, the first failure if one
    /// fails. What was skipped is named with the copy's path.
    package func updateParity(
        cancellation: Cancellation = Cancellation()
    ) -> Result<ParityReport, VarveError>? {
        let results = compactMap { copy in
            copy.updateParity(cancellation: cancellation)?.map { report in
                var report = report
                for index in report.skipped.indices {
                    report.skipped[index].copy = copy.path
                }
                return report
            }
        }
        guard let first = results.first else { return nil }
        return Result { () throws(VarveError) in
            var all = try first.get()
            for result in results.dropFirst() { all.add(try result.get()) }
            return all
        }
    }
}
