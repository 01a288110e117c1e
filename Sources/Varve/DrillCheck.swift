import VarveDatabase
import VarveFiles
import VarveFormat
import VarveRepository

/// Compares what a drill has before it with what the manifest promised.
struct DrillCheck {
    private let plan: RestorePlan
    private let cancellation: Cancellation

    init(_ plan: RestorePlan, _ cancellation: Cancellation) {
        self.plan = plan
        self.cancellation = cancellation
    }

    /// After the restore, before recovery: the pages of each database, and where the logs end.
    mutating func restored(_ evidence: inout DrillEvidence) throws {
        for file in plan.files {
            try cancellation.check()
            guard let facts = file.database else { continue }
            let result = try pages(of: file, facts)
            evidence.databases.append(result)
            if result.pages != result.promisedPages {
                evidence.failures.append(
                    "\(file.path) has \(result.pages) pages, and \(result.promisedPages) were promised")
            }
            if result.largestLSN != result.promisedLSN {
                evidence.failures.append(
                    "\(file.path): the largest LSN of its pages is \(Self.text(result.largestLSN)), and "
                        + "\(Self.text(result.promisedLSN)) was promised")
            }
        }
        if let recovery = plan.recovery {
            let end = try endOfLog(recovery.lastLog)
            evidence.endOfLog = end
            if end != recovery.endOfLog {
                evidence.failures.append(
                    "the restored logs end at \(Self.text(end)), and \(recovery.endOfLog) was promised")
            }
        }
    }

    /// After recovery: each database, and whether the log went on from its promised end.
    func recovered(_ report: RecoveryReport, _ evidence: inout DrillEvidence) throws {
        for database in report.databases {
            if let index = evidence.databases.firstIndex(where: { $0.path == database.path }) {
                evidence.databases[index].isGood = database.isGood
                evidence.databases[index].messages = database.messages
            }
            if !database.isGood {
                evidence.failures.append(
                    "db_verify fails: \(database.path): "
                        + database.messages.prefix(3).joined(separator: "; "))
            }
        }
        guard let recovery = plan.recovery else { return }
        let directory = logDirectory
        let newest = try Directory.list(directory).compactMap { name -> UInt32? in
            if case .log(let number) = EnvironmentFileKind.classify(name) { number } else { nil }
        }.max()
        let end = try newest.flatMap { try endOfLog($0) }
        evidence.endOfLog = end
        if let end, end >= recovery.endOfLog { return }
        evidence.failures.append(
            "after recovery the log ends at \(Self.text(end)), before the promised \(recovery.endOfLog)")
    }

    private static func text(_ lsn: LSN?) -> String { lsn.map { "\($0)" } ?? "none" }

    private func pages(
        of file: Manifest.File, _ facts: Manifest.Database
    ) throws -> DrillEvidence.Database {
        let source = try File.open(reading: Path.join(plan.target, file.path))
        let size = try source.status().size
        let pageSize = UInt64(max(1, facts.pageSize))
        var result = DrillEvidence.Database(
            path: file.path, isGood: true, messages: [], pages: (size + pageSize - 1) / pageSize,
            promisedPages: facts.pages, largestLSN: facts.largestLSN, promisedLSN: facts.largestLSN)
        // A queue's extent has no header to read its pages by: its owner has.
        guard facts.uid != nil,
            let header = try source.readStart(DatabaseHeader.byteCount).withUnsafeBytes({
                try DatabaseHeader.probe($0)
            })
        else { return result }
        let checker = PageChecker(header: header)
        var found = PageRunResult()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var offset: UInt64 = 0
        while offset < size {
            try cancellation.check()
            let count = try source.read(into: buffer, at: offset)
            guard count > 0 else { break }
            checker.check(
                run: UnsafeRawBufferPointer(rebasing: buffer[..<count]),
                firstPage: PageNumber(UInt32(truncatingIfNeeded: offset / pageSize)), into: &found)
            offset += UInt64(count)
        }
        result.largestLSN = found.largestLSN == .zero ? nil : found.largestLSN
        return result
    }

    private var logDirectory: String {
        Path.join(plan.target, plan.environment?.logDirectory.restored ?? ".")
    }

    /// Just past the last whole record of a log; nil if there is no such file, or nothing in it.
    private func endOfLog(_ number: UInt32) throws -> LSN? {
        let path = Path.join(logDirectory, EnvironmentFileKind.logName(number))
        guard try FileStatus.of(path) != nil else { return nil }
        let file = try File.open(reading: path)
        let summary = try LogWalker.walk(number: number, size: try file.status().size) {
            try file.read(into: $1, at: $0)
        }
        return LSN(file: number, offset: UInt32(truncatingIfNeeded: summary.validLength))
    }
}
