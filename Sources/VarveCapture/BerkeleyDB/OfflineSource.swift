import Glibc
import VarveDatabase
import VarveFiles
import VarveFormat

/// An environment that nobody has open, read file by file, without libdb.
///
/// That nobody has it open is established before the first byte and again after the last: no process has a
/// region, log or database file open or mapped (as far as this user may see), nobody holds a lock in
/// `__db.register`, the regions count no references, and no file has changed meanwhile.
///
/// An application that closes an environment leaves no checkpoint behind by itself (`__env_close` takes
/// none), and need not: recovery of the backup begins at the last checkpoint that there is, so the logs from
/// there on are stored, and the end of the log lies past every page. Transactions that were committed without
/// synchronising and never written are in nobody's files, and in no backup.
public final class OfflineSource: CaptureSource {
    private let options: EnvironmentOptions

    public init(_ options: EnvironmentOptions) { self.options = options }

    public var home: String? { options.resolvedHome }

    public func capture(into sink: any CaptureSink) throws -> CaptureSummary {
        let layout = try EnvironmentLayout.find(options)
        // Before the lock: a directory that is no environment stays untouched.
        try EnvironmentCheck.requireEnvironment(layout, layout.list())
        let lock = try Self.lock(layout.files)
        defer { withExtendedLifetime(lock) {} }
        let listing = try layout.list()
        let selected = try listing.selecting(options.only)
        let quiet = try QuietEnvironment(layout, listing)
        let survey = try LogSurvey.survey(layout.logDirectory.path, layout.files)

        let warnings = CaptureWarnings()
        listing.report(to: warnings)
        if survey.isEncrypted { warnings.addEncryptedLogs() }
        let lowest = survey.numbers.first ?? 1
        let keeper = try LogKeeper(
            logDirectory: layout.logDirectory.path, first: options.allLogs ? lowest : survey.firstNeeded,
            inPlace: true, layout.files)
        defer { keeper.close() }

        listing.report(selected, logs: keeper, to: sink)
        var pages = PageCapture(
            layout.files, sink: sink, warnings: warnings,
            unchanged: UnchangedFiles(margin: UnchangedFiles.offlineMargin, readsAll: options.readsAll))
        for file in selected.configurations { try pages.copyPlain(file) }
        for file in selected.databases { try pages.readDirectly(file) }
        let logs = LogCapture(
            keeper: keeper, restored: layout.logDirectory.directory.restored, sink: sink,
            noteTorn: { number, offset in
                warnings.add(
                    "log-torn",
                    "log file \(number) ends in something that is no record, at offset \(offset): a write that never"
                        + " finished, or damage that hides what follows", taints: true)
            })
        let recovery = try logs.capture(
            .init(
                first: survey.firstNeeded, checkpoint: survey.checkpoint.map(CaptureCheckpoint.init),
                largestPageLSN: pages.largestLSN, largestPageFile: pages.largestFile, environmentID: nil))
        try quiet.requireUnchanged(layout)
        return CaptureSummary(
            environment: layout.manifest(
                mode: .offline, envid: survey.checkpoint?.environmentID, encrypted: survey.isEncrypted,
                registered: listing.regions.contains { Path.name($0) == EnvironmentRegister.name },
                only: options.only, omitted: listing.omissions(selected, home: layout.home)),
            recovery: recovery, warnings: warnings.all,
            directories: try layout.restoredDirectories(of: pages.delivered))
    }
}

extension OfflineSource {
    /// Nil on a medium that can't be written to: there no other backup could leave anything behind either.
    private static func lock(_ files: EnvironmentFiles) throws -> EnvironmentLock? {
        do {
            return try EnvironmentLock(files)
        } catch let error as VarveError where error.errno == EROFS {
            return nil
        }
    }
}

/// The proof that nobody has an environment open: made at the start, and again at the end.
struct QuietEnvironment {
    private let files: [String: FileStatus]

    /// Throws `.refused` if somebody has it open, or ended without closing it.
    init(_ layout: EnvironmentLayout, _ listing: EnvironmentListing) throws {
        try Self.requireNoPanic(layout.files)
        try Self.requireUnused(layout, listing)
        try Self.requireCleanClose(layout.files)
        files = try Self.statuses(layout, listing)
    }

    /// Throws `.refused` if somebody has opened it since, or a file was written, created, removed or
    /// replaced.
    func requireUnchanged(_ layout: EnvironmentLayout) throws {
        let listing = try layout.list()
        try Self.requireUnused(layout, listing)
        let now = try Self.statuses(layout, listing)
        guard now != files else { return }
        let changed = Set(now.keys).union(files.keys).sorted().first { now[$0] != files[$0] } ?? layout.home
        throw VarveError(
            .refused, "the environment was used while it was backed up: \(changed) has changed",
            location: layout.home,
            hint: "stop the application for the time of an offline backup, or leave out --offline")
    }

    private static func statuses(
        _ layout: EnvironmentLayout, _ listing: EnvironmentListing
    ) throws -> [String: FileStatus] {
        var paths = listing.databases.map(\.path) + listing.configurations.map(\.path) + listing.regions
        paths += try logPaths(layout)
        var statuses: [String: FileStatus] = [:]
        for path in paths {
            guard var status = try layout.files.status(path) else { continue }
            // Hard links to log files, which this backup makes itself, change these two.
            status.links = 0
            status.changed = Timestamp(seconds: 0)
            statuses[path] = status
        }
        return statuses
    }

    private static func logPaths(_ layout: EnvironmentLayout) throws -> [String] {
        let directory = layout.logDirectory.path
        return try LogKeeper.numbers(in: directory, layout.files).map {
            Path.join(directory, EnvironmentFileKind.logName($0))
        }
    }

    /// Who has a file of the environment open.
    static func use(_ layout: EnvironmentLayout, _ listing: EnvironmentListing) throws -> EnvironmentUse {
        try EnvironmentUse.find(
            listing.regions + listing.databases.map(\.path) + listing.temporary + logPaths(layout),
            layout.files)
    }

    private static func requireUnused(_ layout: EnvironmentLayout, _ listing: EnvironmentListing) throws {
        if let holder = try use(layout, listing).processes.first {
            throw inUse(
                layout.home,
                "process \(holder.process) (\(holder.command)) has \(Path.name(holder.path)) open")
        }
        if let process = try EnvironmentRegister.read(layout.files)?.living.first {
            throw inUse(layout.home, "process \(process) is registered with it")
        }
    }

    private static func inUse(_ home: String, _ why: String) -> VarveError {
        VarveError(
            .refused, "the environment is in use: \(why)", location: home,
            hint: "stop the application first, or leave out --offline")
    }

    static func requireNoPanic(_ files: EnvironmentFiles) throws {
        if try RegionState.read(files)?.isPanicked == true {
            throw needsRecovery(files.home, "it has panicked")
        }
    }

    private static func requireCleanClose(_ files: EnvironmentFiles) throws {
        let home = files.home
        if let process = try EnvironmentRegister.read(files)?.dead.first {
            throw needsRecovery(home, "process \(process) ended without closing it")
        }
        if let region = try RegionState.read(files), region.references > 0 {
            throw needsRecovery(
                home, "its regions count \(region.references) open handles, but no process has them")
        }
    }

    private static func needsRecovery(_ home: String, _ why: String) -> VarveError {
        VarveError(
            .needsRecovery, "the environment needs recovery: \(why)", location: home,
            hint:
                "run db5.3_recover in the home (or start the application, if it recovers by itself), then back up again"
        )
    }
}
