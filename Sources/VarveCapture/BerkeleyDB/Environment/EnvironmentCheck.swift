import VarveDatabase
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// What every source refuses by looking at the files alone.
enum EnvironmentCheck {
    /// Throws `.noEnvironment`, and says what the directory looks like instead, if there is no environment in
    /// it.
    static func requireEnvironment(_ layout: EnvironmentLayout, _ listing: EnvironmentListing)
        throws(VarveError)
    {
        let logs = try LogKeeper.numbers(in: layout.logDirectory.path, layout.files)
        let hasRegions = listing.regions.contains { Path.parent($0) == layout.home }
        let isHome = !logs.isEmpty || hasRegions || layout.configuration != nil
        if !isHome, let inner = listing.innerHomes.first {
            let others = listing.innerHomes.dropFirst()
            var hint = "did you mean \(inner)?"
            if !others.isEmpty { hint += " Or \(others.prefix(3).joined(separator: ", "))?" }
            if !listing.databases.isEmpty {
                hint += " If its logs are there, name that directory with --log-dir"
            }
            throw VarveError(
                .noEnvironment,
                "there is no environment: no log and no region file is in the directory itself",
                location: layout.home, hint: hint)
        }
        if !logs.isEmpty || !listing.databases.isEmpty || !listing.regions.isEmpty { return }
        func refusal(_ what: String, hint: String) -> VarveError {
            VarveError(.noEnvironment, "there is no environment: \(what)", location: layout.home, hint: hint)
        }
        if listing.javaLogs > 0 {
            throw refusal(
                "\(listing.javaLogs) files *.jdb are one of Berkeley DB Java Edition",
                hint: "this version backs up environments of the C library only")
        }
        let names = try layout.files.list(layout.home).filter { $0 != EnvironmentLayout.ownDirectoryName }
        guard names.allSatisfy({ $0 == "lost+found" }) else {
            throw refusal(
                "no database, log or region file is in the directory",
                hint: "name the environment's home (DB_HOME), where its regions or logs are")
        }
        let root = try FileStatus.of(Path.parent(layout.home))
        let here = try layout.files.status(layout.home)
        if names.isEmpty, root?.device == here?.device {
            throw refusal(
                "the directory is empty",
                hint: "if a disk should be mounted here, mount it; else name the home")
        }
        throw refusal("the file system mounted here is empty", hint: "is it the right disk?")
    }
}

extension CaptureCheckpoint {
    init(_ record: LogCheckpoint) {
        self.init(lsn: record.lsn, checkpointLSN: record.checkpointLSN, envid: record.environmentID)
    }
}

extension EnvironmentListing {
    /// How much is about to come.
    func report(_ selected: EnvironmentListing, logs: LogKeeper, to sink: any CaptureSink) {
        let sizes = (selected.databases + selected.configurations).map(\.status.size)
        sink.expect(totalBytes: sizes.reduce(logs.heldBytes, +))
    }

    /// What was seen and is not stored as one might expect.
    func report(to warnings: CaptureWarnings) {
        for (path, stored) in aliases {
            warnings.add(
                "alias", "\(path) is the same file as \(stored), under which it is stored", path: path)
        }
        for path in innerHomes {
            warnings.add(
                "inner-environment",
                "\(path) is the home of another environment and is not stored: back it up by itself",
                path: path)
        }
        for path in temporary {
            warnings.add(
                "temporary-file", "\(path) is one of libdb's temporary files and is not stored", path: path)
        }
        for path in unreadable {
            warnings.add(
                "unreadable",
                "the environment's owner can't read \(path): this backup lacks any database there",
                path: path, taints: true)
        }
    }
}

extension CaptureWarnings {
    func addEncryptedLogs() {
        add(
            "encrypted-logs",
            "the logs are encrypted: their chain was checked, but the checksums of their records need the key. Renamed"
                + " databases can't be recognised either: recovery may lose a database that was renamed since the last"
                + " checkpoint. Run 'varve verify --drill' to see whether it does"
        )
    }
}

/// Delivers the files of an environment other than logs, and keeps what the logs must cover.
struct PageCapture {
    let files: EnvironmentFiles
    let sink: any CaptureSink
    let warnings: CaptureWarnings
    let unchanged: UnchangedFiles
    private(set) var largestLSN = LSN.zero
    private(set) var largestFile: String?
    /// Restored paths of what was delivered.
    private(set) var delivered: Set<String> = []
    /// What recovery has to do with: databases, extents, placeholders.
    private(set) var parts: [RecoveryByUID.RestoredFile] = []
    /// Databases, as they were listed, and what their pages tell.
    private var databases: [(file: EnvironmentFile, facts: DatabaseStream.Facts)] = []

    init(
        _ files: EnvironmentFiles, sink: any CaptureSink, warnings: CaptureWarnings, unchanged: UnchangedFiles
    ) {
        self.files = files
        self.sink = sink
        self.warnings = warnings
        self.unchanged = unchanged
    }

    mutating func note(_ facts: DatabaseStream.Facts, of file: EnvironmentFile) {
        let lsn = facts.largestLSN
        delivered.insert(file.restored)
        parts.append(RecoveryByUID.RestoredFile(path: file.restored, place: file.place, fileID: file.uid))
        if file.uid != nil { databases.append((file, facts)) }
        if lsn > largestLSN { (largestLSN, largestFile) = (lsn, file.path) }
    }

    /// Reads a database with plain reads of whole pages, unless it can't have changed since the snapshot before; a
    /// placeholder or configuration file as it is.
    ///
    /// - Parameter mayVanish: of a live environment, where the application may remove it: it is left out
    ///   then.
    mutating func readDirectly(_ file: EnvironmentFile, mayVanish: Bool = false) throws(VarveError) {
        guard file.header != nil else { return try copyPlain(file, mayVanish: mayVanish) }
        guard
            let facts = try open(
                file, mayVanish: mayVanish,
                { (source) throws(VarveError) in
                    // Of what was opened: what was listed may be another file, with other rights.
                    var file = file
                    file.status = try source.status()
                    let identity = try unchanged.identity(of: source)
                    let previous = sink.previous(file.restored)
                    var reading = unchanged.decide(file, identity, previous: previous)
                    if reading == .unchanged {
                        if try sink.takeOver(file.source) {
                            return DatabaseStream.Facts(previous?.database)
                        }
                        reading = .lost
                    }
                    var stream = try DatabaseStream(file, into: sink)
                    try stream.readAll(source)
                    let isSettled = identity.isSame(as: try unchanged.identity(of: source))
                    return try stream.finish(
                        warnings, identity: isSettled ? identity : nil, reading: reading)
                })
        else { return }
        note(facts, of: file)
    }

    /// A small file without pages.
    mutating func copyPlain(_ file: EnvironmentFile, mayVanish: Bool = false) throws(VarveError) {
        let sink = sink
        guard
            let (status, bytes) = try open(
                file, mayVanish: mayVanish,
                { (opened) throws(VarveError) in (try opened.status(), try Self.read(opened, file)) })
        else { return }
        // The transaction has ended since it was listed, and a database may have its name now.
        if case .placeholder = file.role, mayVanish {
            guard bytes.withUnsafeBytes({ DatabaseHeader.isRenamed($0) }) else { return }
        }
        // Of what was opened: what was listed may be another file, with other rights.
        var file = file
        file.status = status
        try sink.begin(file.source)
        if !bytes.isEmpty {
            try bytes.withBytes { (bytes) throws(VarveError) in try sink.write(bytes, at: 0) }
        }
        try sink.end(SourceFileFacts(size: UInt64(bytes.count)))
        delivered.insert(file.restored)
        if case .placeholder = file.role {
            parts.append(RecoveryByUID.RestoredFile(path: file.restored, fileID: nil))
        }
    }

    /// Says which databases of a live environment change without a log record, and taints the snapshot where one did
    /// while it was copied: its pages are of different moments then, and nothing mends that.
    ///
    /// Such are: what is opened outside of transactions; what changed though the stored logs, which name each database
    /// that a logged change belongs to, don't name it (`DB_TXN_NOT_DURABLE`); and what changed though no page has a LSN.
    ///
    /// - Parameters:
    ///   - cached: names of files that have pages in libdb's cache.
    ///   - sync: has every changed page written, so that a file that is still as it was had none.
    func reportUnlogged(
        _ logged: LoggedFiles, cached: Set<String>, _ warnings: CaptureWarnings,
        sync: () throws(VarveError) -> Void
    ) throws(VarveError) {
        func isCandidate(_ database: (file: EnvironmentFile, facts: DatabaseStream.Facts)) throws(VarveError)
            -> Bool
        {
            guard let id = database.file.uid, !logged.isUnmade(id) else { return false }
            let known = logged.files[id]
            if known?.isOpenedUnlogged == true { return true }
            // Nobody has the others open, or their changes are logged. What was made a moment ago has its LSNs in the cache.
            guard known == nil || (database.facts.largestLSN == .zero && known?.isOpenedLogged != true) else {
                return false
            }
            if cached.contains(database.file.name) { return true }
            return try hasChanged(database.file)
        }
        var candidates: [(file: EnvironmentFile, facts: DatabaseStream.Facts)] = []
        for database in databases {
            if try isCandidate(database) { candidates.append(database) }
        }
        if candidates.isEmpty { return }
        try sync()
        for (file, facts) in candidates {
            let hasChanged = try hasChanged(file)
            let isCertain = file.uid.flatMap { logged.files[$0] }?.isOpenedUnlogged == true || hasChanged
            // It rests, and has LSNs, or is as it was made: whoever opened it may as well have read only.
            if !isCertain && (facts.largestLSN != .zero || facts.isEmpty) { continue }
            warnings.add(
                "unlogged",
                "changes of \(file.restored) are not in the logs (DB_TXN_NOT_DURABLE, or opened without transactions)"
                    + (hasChanged
                        ? ", and it changed while it was copied: what is stored may be broken; stop the application"
                            + " and use --offline"
                        : "; it did not change while it was copied"),
                path: file.restored, taints: hasChanged)
        }
    }

    /// Since it was listed; not if another file has its name by now: what renames it is in the logs.
    private func hasChanged(_ file: EnvironmentFile) throws(VarveError) -> Bool {
        guard let now = try files.status(file.path),
            case .database(let header)? = try EnvironmentListing.probe(file.path, files),
            header.fileID == file.uid
        else { return false }
        return now.modified != file.status.modified || now.size != file.status.size
    }

    /// Of what was delivered: the uids of databases that are not there where the logs end.
    func removed(_ logged: LoggedFiles) -> Set<String> {
        Set(parts.compactMap(\.fileID).filter { logged.files[$0]?.removed != nil || logged.isUnmade($0) })
    }

    /// What a restore needs to bring these files back with these logs (`Manifest.requires`).
    func requirements(_ logged: LoggedFiles, _ warnings: CaptureWarnings) -> [String] {
        do {
            return try RecoveryByUID.plan(logged, restored: parts) == nil
                ? [] : [Manifest.Requirement.recoveryByUID]
        } catch {
            warnings.add(
                "names-changed",
                "databases changed their names while they were backed up, and recovery may lose some: \(error); back"
                    + " up again", taints: true)
            return []
        }
    }

    private static func read(_ source: borrowing File, _ file: EnvironmentFile) throws(VarveError) -> [UInt8]
    {
        if case .placeholder = file.role { return try source.readStart(placeholderSize) }
        return try source.readToEnd(limit: plainLimit)
    }

    private static let plainLimit = 64 << 10
    /// A meta page's beginning (`DBMETASIZE`, `__fop_ondisk_dummy`).
    private static let placeholderSize = 512

    private func open<R>(
        _ file: EnvironmentFile, mayVanish: Bool, _ body: (borrowing File) throws(VarveError) -> R
    ) throws(VarveError) -> R? {
        let source: File
        do {
            source = try files.open(reading: file.path)
        } catch let error where error.isNoEntry && mayVanish {
            return nil
        }
        return try body(source)
    }
}
