import VarveDatabase
import VarveFiles
import VarveFormat

/// Measures a recovered environment, and compares with what was promised.
///
/// libdb's recovery can end well and have reached other files, or none: what it says of itself is no measure.
struct RecoveryCheck {
    struct Database: Sendable, Hashable {
        /// Beneath the restored home.
        var path: String
        var uid: String
        var header: DatabaseHeader
    }

    private let plan: RestorePlan
    private let cancellation: Cancellation

    init(_ plan: RestorePlan, _ cancellation: Cancellation) {
        self.plan = plan
        self.cancellation = cancellation
    }

    /// Every database file of the restored directories, told by its first page.
    func databases(in tree: RootDirectory) throws(VarveError) -> [Database] {
        try databases(in: tree, beneath: ".").sorted { $0.path < $1.path }
    }

    private func databases(in tree: RootDirectory, beneath directory: String) throws(VarveError) -> [Database]
    {
        var databases: [Database] = []
        for name in try tree.names(in: directory) {
            let path = directory == "." ? name : directory + "/" + name
            switch try tree.status(of: path)?.kind {
            case .directory: databases += try self.databases(in: tree, beneath: path)
            case .regular:
                switch EnvironmentFileKind.classify(name) {
                case .other, .partition: break
                default: continue
                }
                let start = try tree.open(reading: path).readStart(DatabaseHeader.byteCount)
                guard
                    let header = try? start.withUnsafeBytes({ try DatabaseHeader.probe($0) })
                else {
                    continue
                }
                databases.append(Database(path: path, uid: header.fileID, header: header))
            default: continue
            }
        }
        return databases
    }

    /// What differs, one sentence each.
    ///
    /// - Parameters:
    ///   - before: the end of the restored logs before recovery.
    ///   - end: and after it.
    ///   - logged: what the logs say of files.
    func differences(
        in tree: RootDirectory, before: RestoredLogs, end: LSN?, found: [Database]
    ) throws(VarveError) -> (differences: [String], removed: [String], missing: [String]) {
        var result = logDifferences(before: before.end, end: end)
        var removed: [String] = []
        var missing: [String] = []
        let uids = Set(found.map(\.uid))
        let promised = Set(plan.files.compactMap { $0.database?.uid })
        for file in plan.files where file.kind == .database {
            guard let uid = file.database?.uid, !uids.contains(uid) else { continue }
            if before.removes(uid) || before.files.isUnmade(uid) {
                removed.append(file.path)
            } else {
                result.append(
                    "the database \(file.path) is gone after recovery, and the logs do not say that it was removed"
                )
            }
        }
        // Of a partial snapshot the others are missing on purpose.
        for file in before.files.databases where plan.environment?.only == nil {
            if file.name.isEmpty || uids.contains(file.fileID) || promised.contains(file.fileID) { continue }
            // Dumped, loaded and renamed without libdb: another one has its name, and it was closed.
            if !file.isOpen, found.contains(where: { Self.isNamed($0.path, file.name) }) { continue }
            if plan.missing.contains(file.name) {
                missing.append(file.name)
                continue
            }
            result.append(
                "the logs name the database \(file.name), which is in no directory of the snapshot: "
                    + "it was not restored")
        }
        for database in found {
            try cancellation.check()
            guard let largest = try largestLSN(of: database, in: tree), let end, largest >= end else {
                continue
            }
            result.append(
                "\(database.path) has a page of \(largest), and the logs end at \(end): "
                    + "recovery did not work on these logs")
        }
        return (result, removed, missing)
    }

    private static func isNamed(_ path: String, _ name: String) -> Bool {
        name.hasPrefix("/") ? Path.name(path) == Path.name(name) : path == name || path.hasSuffix("/" + name)
    }

    private func logDifferences(before: LSN?, end: LSN?) -> [String] {
        guard let promised = plan.recovery?.endOfLog else { return [] }
        var result: [String] = []
        if before != promised {
            result.append("the restored logs end at \(Self.text(before)); the snapshot promises \(promised)")
        }
        // Recovery ends with a checkpoint of its own.
        if let before, let end, end > before { return result }
        result.append(
            "the log did not grow (end before recovery: \(Self.text(before)), after it: \(Self.text(end))): "
                + "recovery did not work on the restored logs")
        return result
    }

    private func largestLSN(of database: Database, in tree: RootDirectory) throws(VarveError) -> LSN? {
        let file = try tree.open(reading: database.path)
        return try PageSurvey(database.header).largestLSN(of: file, cancellation)
    }

    static func text(_ lsn: LSN?) -> String { lsn.map { "\($0)" } ?? "nowhere" }
}

/// Reads all pages of a database file.
struct PageSurvey {
    private let checker: PageChecker
    private let pageSize: UInt64

    init(_ header: DatabaseHeader) {
        checker = PageChecker(header: header)
        pageSize = UInt64(header.pageSize)
    }

    /// Nil where no page has one.
    func largestLSN(of file: borrowing File, _ cancellation: Cancellation) throws(VarveError) -> LSN? {
        let size = try file.status().size
        var found = PageRunResult()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var offset: UInt64 = 0
        while offset < size {
            try cancellation.check()
            let count = try file.read(into: buffer, at: offset)
            guard count > 0 else { break }
            checker.check(
                run: UnsafeRawBufferPointer(rebasing: buffer[..<count]),
                firstPage: PageNumber(UInt32(truncatingIfNeeded: offset / pageSize)), into: &found)
            offset += UInt64(count)
        }
        return found.largestLSN == .zero ? nil : found.largestLSN
    }
}
