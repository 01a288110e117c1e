import VarveDatabase
import VarveFiles
import VarveFormat
import VarveRepository
import VarveUpkeep

/// Compares what a drill has before it with what the manifest promised, for its evidence.
struct DrillCheck {
    private let plan: RestorePlan
    private let cancellation: Cancellation

    init(_ plan: RestorePlan, _ cancellation: Cancellation) {
        self.plan = plan
        self.cancellation = cancellation
    }

    /// After the restore, before recovery: the pages of each database, and where the logs end.
    func restored(_ tree: RootDirectory, _ evidence: inout DrillEvidence) throws(VarveError) {
        for file in plan.files {
            try cancellation.check()
            guard let facts = file.database else { continue }
            let result = try pages(of: file, facts, in: tree)
            evidence.databases.append(result)
            if result.pages != result.promisedPages {
                evidence.failures.append(
                    "\(file.path) has \(result.pages) pages; the snapshot promises \(result.promisedPages)")
            }
            if result.largestLSN != result.promisedLSN {
                evidence.failures.append(
                    "\(file.path): the largest LSN of its pages is \(RecoveryCheck.text(result.largestLSN)); "
                        + "the snapshot promises \(RecoveryCheck.text(result.promisedLSN))")
            }
        }
        guard plan.recovery != nil, let environment = plan.environment else { return }
        evidence.endOfLog = try RestoredLogs.end(in: tree.directory(environment.logDirectory.restored))
    }

    /// After recovery: each database that is there, and whatever differs from what was promised.
    func recovered(_ report: RecoveryReport, _ evidence: inout DrillEvidence) {
        for database in report.databases {
            if let index = evidence.databases.firstIndex(where: { $0.path == database.path }) {
                evidence.databases[index].isGood = database.isGood
                evidence.databases[index].messages = database.messages
            }
            if !database.isGood {
                evidence.failures.append(
                    "db_verify fails: \(database.path): "
                        + RecoveryReport.shortened(database.messages).joined(separator: "; "))
            }
        }
        evidence.endOfLog = report.endOfLog
        evidence.failures += report.differences
        evidence.failures += report.missing.map {
            "the database \($0) is not there: the backup has missed it"
        }
    }

    private func pages(
        of file: Manifest.StoredFile, _ facts: Manifest.Database, in tree: RootDirectory
    ) throws(VarveError) -> DrillEvidence.Database {
        let source = try tree.open(reading: file.path)
        let size = try source.status().size
        let pageSize = UInt64(max(1, facts.pageSize))
        var result = DrillEvidence.Database(
            path: file.path, isGood: true, messages: [], pages: (size + pageSize - 1) / pageSize,
            promisedPages: facts.pages, largestLSN: facts.largestLSN, promisedLSN: facts.largestLSN)
        // A queue's extent has no header to read its pages by: its owner has.
        guard facts.uid != nil,
            let header = try source.readStart(DatabaseHeader.byteCount).withBytes({
                (bytes) throws(VarveError) in
                try DatabaseHeader.probe(bytes)
            })
        else { return result }
        result.largestLSN = try PageSurvey(header).largestLSN(of: source, cancellation)
        return result
    }
}
