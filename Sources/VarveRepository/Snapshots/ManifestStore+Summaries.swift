import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

extension ManifestStore {
    /// Manifests without a summary that one commit reads to make theirs: what an earlier version or a lost cache left
    /// is caught up with over a few backups, none of which takes a second longer for it.
    private static let catchUpLimit = 1000

    /// One for each manifest there is, oldest first.
    ///
    /// Which snapshots there are is told by the manifests' names alone. A summary only spares reading the manifest that
    /// its hash names; what none is stored for is read.
    package func summaries() throws(VarveError) -> [SnapshotSummary] {
        let stored = try storedSummaries()
        return try list().map { (reference) throws(VarveError) in
            if let summary = stored[reference] { return summary }
            return SnapshotSummary(try read(reference), name: reference.hash)
        }
    }

    /// What is stored, of whatever snapshots; damaged tables are passed over.
    package func storedSummaries() throws(VarveError) -> [SnapshotReference: SnapshotSummary] {
        var tables = try summaryTables()
        // A writer that is at work removes a table when its successor is there.
        for _ in 0..<5 where tables.isMissingOne { tables = try summaryTables() }
        var summaries: [SnapshotReference: SnapshotSummary] = [:]
        summaries.reserveCapacity(tables.tables.reduce(0) { $0 + $1.summaries.count })
        for table in tables.tables {
            for summary in table.summaries { summaries[summary.reference] = summary }
        }
        return summaries
    }

    private struct SummaryTables {
        var tables: [(name: String, summaries: [SnapshotSummary])] = []
        var damaged: [String] = []
        var isMissingOne = false
    }

    private func summaryTables() throws(VarveError) -> SummaryTables {
        var result = SummaryTables()
        for name in try storage.list(.summary) {
            let object = ObjectName(.summary, name)
            do {
                let bytes = try NamedBytes.read(object, in: storage, limit: SummaryTable.maximumLength)
                let summaries: [SnapshotSummary] = try bytes.withBytes { (bytes) throws(VarveError) in
                    // Its manifests are read, and the next commit puts a new table in its place.
                    if SummaryTable.isOutdated(bytes) { return [] }
                    return try SummaryTable.decode(bytes, repository: repository)
                }
                result.tables.append((name, summaries))
            } catch let error where error.code == .missing {
                result.isMissingOne = true
            } catch {
                Notices.note(.remark, "\(object)", "it can't be used: manifests are read instead", error)
                // Somebody else's stays where it is.
                if !error.isAccess { result.damaged.append(name) }
            }
        }
        return result
    }

    /// Stores the summary of a manifest that was just published, together with tables of similar size, so that there
    /// are few. The snapshot is committed whether this succeeds or not, so it does not throw.
    package func summarize(_ reference: SnapshotReference, _ manifest: Manifest) {
        Notices.attempt(
            .remark, storage.location,
            "the list of snapshots lacks snapshot \(reference): its manifest is read instead"
        ) { try store(SnapshotSummary(manifest, name: reference.hash)) }
    }

    private func store(_ summary: SnapshotSummary) throws(VarveError) {
        let (stored, references) = (try summaryTables(), try list())
        let known = Set(stored.tables.flatMap { table in table.summaries.map(\.reference) })
        var gathered = [summary.reference: summary]
        for missing in references.reversed() where !known.contains(missing) && gathered[missing] == nil {
            if gathered.count > Self.catchUpLimit { break }
            let found = Notices.attempt(
                .remark, "\(ObjectName(.manifest, missing.name))",
                "it can't be read: it is not taken into the list"
            ) { try read(missing) }
            guard let manifest = found else { continue }
            gathered[missing] = SnapshotSummary(manifest, name: missing.hash)
        }
        var merged: [String] = []
        for table in stored.tables.sorted(by: { $0.summaries.count < $1.summaries.count }) {
            if table.summaries.count > 2 * gathered.count { break }
            for summary in table.summaries { gathered[summary.reference] = summary }
            merged.append(table.name)
        }
        // Those of manifests that are gone stay: they are what tells that one is gone.
        let summaries = gathered.values.sorted { $0.reference < $1.reference }
        try replace(merged, damaged: stored.damaged, with: summaries)
    }

    private func replace(_ merged: [String], damaged: [String], with summaries: [SnapshotSummary])
        throws(VarveError)
    {
        for name in damaged { try storage.setAside(ObjectName(.summary, name)) }
        try SummaryTable.encode(summaries, repository: repository).withBytes { (bytes) throws(VarveError) in
            let name = Hasher.name(of: bytes).hex
            try storage.publish(ObjectName(.summary, name), [bytes])
            for old in merged where old != name { try storage.remove(ObjectName(.summary, old)) }
        }
    }
}

extension SnapshotSummary {
    package var reference: SnapshotReference { SnapshotReference(sequence: sequence, hash: manifest) }
}
