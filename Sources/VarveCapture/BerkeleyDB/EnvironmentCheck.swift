import VarveDatabase
import VarveFiles
import VarveFormat

/// What every source refuses by looking at the files alone.
enum EnvironmentCheck {
    /// Throws `.noEnvironment`, and says what the directory looks like instead, if there is no environment in
    /// it.
    static func requireEnvironment(_ layout: EnvironmentLayout, _ listing: EnvironmentListing) throws {
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
                "\(path) can't be read by the environment's owner: what is a database there is not in this backup",
                path: path, taints: true)
        }
    }
}

extension CaptureWarnings {
    func addEncryptedLogs() {
        add(
            "encrypted-logs",
            "the logs are encrypted: their chain was checked, the checksums of their records can't be without the key"
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

    init(
        _ files: EnvironmentFiles, sink: any CaptureSink, warnings: CaptureWarnings, unchanged: UnchangedFiles
    ) {
        self.files = files
        self.sink = sink
        self.warnings = warnings
        self.unchanged = unchanged
    }

    mutating func note(_ lsn: LSN, of file: EnvironmentFile) {
        delivered.insert(file.restored)
        if lsn > largestLSN { (largestLSN, largestFile) = (lsn, file.path) }
    }

    /// Reads a database with plain reads of whole pages, unless it can't have changed since the snapshot before; a
    /// placeholder or configuration file as it is.
    ///
    /// - Parameter mayVanish: of a live environment, where the application may remove it: it is left out
    ///   then.
    mutating func readDirectly(_ file: EnvironmentFile, mayVanish: Bool = false) throws {
        guard file.header != nil else { return try copyPlain(file, mayVanish: mayVanish) }
        guard
            let lsn = try open(
                file, mayVanish: mayVanish,
                { source in
                    // Of what was opened: what was listed may be another file, with other rights.
                    var file = file
                    file.status = try source.status()
                    let identity = try unchanged.identity(of: source)
                    let previous = sink.previous(file.restored)
                    var reading = unchanged.decide(file, identity, previous: previous)
                    if reading == .unchanged {
                        if try sink.takeOver(file.source) { return previous?.database?.largestLSN ?? .zero }
                        reading = .lost
                    }
                    var stream = try DatabaseStream(file, into: sink)
                    try stream.readAll(source)
                    let isSettled = identity.isSame(as: try unchanged.identity(of: source))
                    return try stream.finish(
                        warnings, identity: isSettled ? identity : nil, reading: reading)
                })
        else { return }
        note(lsn, of: file)
    }

    /// A small file without pages.
    mutating func copyPlain(_ file: EnvironmentFile, mayVanish: Bool = false) throws {
        let sink = sink
        guard
            let (status, bytes) = try open(
                file, mayVanish: mayVanish, { (try $0.status(), try $0.readToEnd(limit: Self.plainLimit)) })
        else { return }
        // Of what was opened: what was listed may be another file, with other rights.
        var file = file
        file.status = status
        try sink.begin(file.source)
        if !bytes.isEmpty { try bytes.withUnsafeBytes { try sink.write($0, at: 0) } }
        try sink.end(SourceFileFacts(size: UInt64(bytes.count)))
        delivered.insert(file.restored)
    }

    /// A placeholder is one page.
    private static let plainLimit = 64 << 10

    private func open<R>(
        _ file: EnvironmentFile, mayVanish: Bool, _ body: (borrowing File) throws -> R
    ) throws -> R? {
        let source: File
        do {
            source = try files.open(reading: file.path)
        } catch let error as VarveError where error.isNoEntry && mayVanish {
            return nil
        }
        return try body(source)
    }
}
