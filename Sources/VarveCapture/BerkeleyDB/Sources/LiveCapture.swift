import Glibc
import VarveDatabase
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// How the pages of a live environment are read.
enum PageReading {
    /// By libdb, which holds off those who write the same pages.
    case library
    /// With plain reads, where the file system makes them atomic.
    case direct
}

/// One hot backup, from the lock to the proof: what `LiveSource` and `DirectSource` have in common.
///
/// The order is the contract: counter up and last checkpoint, hold on to the logs, list and read the
/// databases, list again for those that appeared, then the logs, ascending, then the proof, then counter
/// down.
final class LiveCapture {
    private let options: EnvironmentOptions
    private let layout: EnvironmentLayout
    private let sink: any CaptureSink
    private let reading: PageReading
    private let warnings = CaptureWarnings()
    private let helper: BerkeleyDBHelper?
    private let lock: EnvironmentLock
    private let registered: Bool
    private let encrypted: Bool?
    private let limits: HelperLimits
    private let cancellation: Cancellation
    private var pages: PageCapture
    /// What was not asked for, or is no database.
    private var omitted: Manifest.Omissions?
    /// By their uids: a database that is renamed meanwhile has another name and is the same, and what has its name
    /// then is another.
    private var witnesses: DatabaseWitnesses

    private var cachedNames: Set<String> = []

    /// A database may be created while the last of them is read, and another while that one is.
    private static let listings = 16

    /// Locks the environment, joins it and checks that it can be backed up. Nothing of it is changed yet.
    init(
        _ options: EnvironmentOptions, helper helperOptions: HelperOptions?, reading: PageReading,
        into sink: any CaptureSink
    ) throws(VarveError) {
        let layout = try EnvironmentLayout.find(options)
        let listing = try layout.list()
        try EnvironmentCheck.requireEnvironment(layout, listing)
        if helperOptions != nil { try EnvironmentCheck.requireJoinable(layout, listing) }
        self.options = options
        self.layout = layout
        witnesses = DatabaseWitnesses(layout: layout, storesAllLogs: options.allLogs)
        self.sink = sink
        self.reading = reading
        limits = (helperOptions ?? HelperOptions()).limits
        cancellation = (helperOptions ?? HelperOptions()).cancellation
        pages = PageCapture(
            layout.files, sink: sink, warnings: warnings,
            unchanged: UnchangedFiles(margin: UnchangedFiles.directMargin, readsAll: options.readsAll))
        lock = try EnvironmentLock(layout.files)
        guard let helperOptions else {
            helper = nil
            registered = try layout.files.status(Path.join(layout.home, EnvironmentRegister.name)) != nil
            encrypted = nil
            warnings.add(
                "no-counter",
                "nobody could join the environment to raise its hot-backup counter: a bulk load (DB_TXN_BULK) during"
                    + " the backup would be missing in it")
            return
        }
        let helper = try BerkeleyDBHelper(
            CaptureEnvironment(
                home: layout.home, dataDirectories: options.dataDirectories,
                logDirectory: options.logDirectory),
            password: helperOptions.password, lock: lock, executable: helperOptions.executable,
            slots: helperOptions.slots, limits: helperOptions.limits,
            cancellation: helperOptions.cancellation)
        do {
            try helper.join()
            if let ended = lock.endedHelper {
                warnings.add("helper-ended", EnvironmentLock.describe(ended))
            }
            if try EnvironmentJournal.pending(layout.files) != nil {
                warnings.add("unwedged", "an earlier backup had died: \(try helper.repair().summary)")
            }
            let preflight = try helper.preflight()
            try EnvironmentCheck.requireLogDirectory(layout, preflight)
            registered = preflight.registered
            encrypted = preflight.encrypted
        } catch {
            Self.closeAfterError(helper)
            throw error
        }
        self.helper = helper
    }

    private static func closeAfterError(_ helper: BerkeleyDBHelper?) {
        Notices.attempt(
            .warning, helper?.environment.home ?? "",
            "the helper did not undo everything: run 'varve unwedge --bdb HOME'"
        ) { try helper?.close() }
    }

    func run() throws(VarveError) -> CaptureSummary {
        do {
            let summary = try capture()
            try helper?.close()
            return summary
        } catch {
            // What went wrong first is what counts; a counter that stays up is in the journal.
            Self.closeAfterError(helper)
            throw error
        }
    }

    private func capture() throws(VarveError) -> CaptureSummary {
        let before = try RegionState.read(layout.files)
        let (checkpoint, first) = try begin()
        let lowest = try LogKeeper.numbers(in: layout.logDirectory.path, layout.files).first ?? first
        let keeper = try LogKeeper(
            logDirectory: layout.logDirectory.path, first: options.allLogs ? min(lowest, first) : first,
            layout.files)
        defer { keeper.close() }
        try EnvironmentCheck.requireContiguous(keeper, first: first)
        if let reason = keeper.reasonAgainstLinks {
            warnings.add("log-links", "log files can't be linked and are kept open instead: \(reason)")
        }
        try captureDatabases(keeper)

        let after = try RegionState.read(layout.files)
        guard before?.envid == after?.envid else {
            throw VarveError(
                .refused, "the environment was created anew while it was backed up", location: layout.home,
                hint: "back up again")
        }
        let logs = LogCapture(
            keeper: keeper, restored: layout.logDirectory.directory.restored, sink: sink,
            noteTorn: warnings.addTornLog, noteUnfinished: warnings.addUnfinishedLog)
        let (recovery, logged) = try logs.capture(
            .init(
                first: first, checkpoint: checkpoint, largestPageLSN: pages.largestLSN,
                largestPageFile: pages.largestFile, environmentID: before?.envid ?? checkpoint?.envid ?? 0,
                status: helper?.logStatus))
        let requires = try conclude(logged, recovery)
        let mode: Manifest.Environment.Mode = reading == .library ? .live : .direct
        var summary = CaptureSummary(
            environment: layout.manifest(
                mode: mode, envid: before?.envid ?? checkpoint?.envid, encrypted: encrypted ?? false,
                registered: registered, only: options.only,
                // A file that was no database when it was listed may have become one.
                omitted: omitted?.without(pages.delivered)),
            recovery: recovery, warnings: warnings.all,
            directories: try layout.restoredDirectories(of: pages.delivered, logged))
        summary.requires = requires
        summary.removed = logged.map(pages.removed) ?? []
        return summary
    }

    /// Every database is there, or it is said which is not; and what a restore needs for that.
    private func conclude(_ logged: LoggedFiles?, _ recovery: Manifest.Recovery) throws(VarveError)
        -> [String]
    {
        if options.only.isEmpty {
            try witnesses.check(
                logged, before: sink.previousSnapshot,
                older: { [layout] end in
                    LogSurvey.filesIfReadable(layout, since: end, to: recovery.firstLog)
                }, warnings)
        }
        guard let logged else { return [] }
        try witnesses.checkOpenFiles(QuietEnvironment.writers(layout), logged, warnings)
        try pages.reportUnlogged(logged, cached: cachedNames, warnings) { [helper] () throws(VarveError) in
            try helper?.sync()
        }
        return pages.requirements(logged, warnings)
    }

    /// Raises the counter, and tells where recovery will begin: before the first page is read.
    private func begin() throws(VarveError) -> (CaptureCheckpoint?, first: UInt32) {
        if let helper {
            let checkpoint = try helper.begin()
            if encrypted == true { warnings.addEncryptedLogs() }
            return (checkpoint, checkpoint?.checkpointLSN.file ?? 1)
        }
        let survey = try LogSurvey.survey(layout.logDirectory.path, layout.files)
        if survey.isEncrypted { warnings.addEncryptedLogs() }
        return (survey.checkpoint.map(CaptureCheckpoint.init), survey.firstNeeded)
    }

    private func captureDatabases(_ keeper: LogKeeper) throws(VarveError) {
        let cached = try helper?.cachedFiles() ?? []
        cachedNames = Set(cached)
        let all = try layout.list()
        if options.only.isEmpty { try witnesses.requireKnownDirectories(cached, all) }
        var listing = try all.selecting(options.only)
        omitted = all.omissions(listing, home: layout.home)
        all.report(to: warnings)
        all.report(listing, logs: keeper, to: sink)
        switch reading {
        case .library: try EnvironmentCheck.requireDistinctNames(listing)
        case .direct: try AtomicReads.require(layout, listing)
        }
        for file in listing.configurations { try pages.copyPlain(file, mayVanish: true) }
        for _ in 0..<Self.listings {
            for file in listing.databases where !isDelivered(file) {
                try capture(file, among: listing)
                try keeper.checkHealth()
            }
            // With --only, nothing that appears was asked for.
            if !options.only.isEmpty { return }
            witnesses.lastLook = try helper?.logStatus().endOfLog
            listing = try layout.list()
            witnesses.listed = listing.byUID
            if listing.databases.allSatisfy(isDelivered) { return }
        }
    }

    /// Extents of a queue come with it, and those that appear later are in the logs from their first record
    /// on.
    private func isDelivered(_ file: EnvironmentFile) -> Bool {
        // A path counts with the database that was delivered for it only.
        if case .database(let header) = file.role { return witnesses.delivered[header.fileID] != nil }
        if pages.delivered.contains(file.restored) { return true }
        switch file.role {
        case .database: return false
        case .queueExtent: return reading == .library || deliveredExtentOwners.contains(file.owner ?? "")
        case .placeholder: return false
        case .configuration: return true
        }
    }

    /// Queues whose extents were all read in the round of their main file.
    private var deliveredExtentOwners: Set<String> = []

    private func capture(_ file: EnvironmentFile, among listing: EnvironmentListing) throws(VarveError) {
        guard case .database = file.role else {
            if case .placeholder = file.role { try pages.readDirectly(file, mayVanish: true) }
            return
        }
        // Gone since it was listed: its removal is in the logs, as is a rename, and the next listing has the
        // name.
        // Replaced since: what is copied is what is there now.
        guard case .database(let header)? = try EnvironmentListing.probe(file.path, layout.files) else {
            return
        }
        if witnesses.delivered[header.fileID] != nil { return }
        var file = file
        file.role = .database(header)
        file.giveWay(to: pages.delivered)
        switch reading {
        case .library: try captureWithLibrary(file, among: listing)
        case .direct:
            try pages.readDirectly(file, mayVanish: true)
            for extent in listing.databases where extent.owner == file.restored {
                if case .queueExtent = extent.role {
                    try pages.readDirectly(extent.following(file), mayVanish: true)
                }
            }
            deliveredExtentOwners.insert(file.restored)
            // Not if it vanished: after a rename the same file has another name.
            if pages.delivered.contains(file.restored) { witnesses.delivered[header.fileID] = file.restored }
        }
    }

    private func captureWithLibrary(_ file: EnvironmentFile, among listing: EnvironmentListing)
        throws(VarveError)
    {
        guard let helper else { return }
        try DatabaseLocks(helper, cancellation: cancellation, patience: limits.working).waitFree(for: file)
        for attempt in 1... {
            let copy = LibraryCopy(
                file, among: listing, layout.files, witnesses.delivered, pages.delivered, sink)
            do {
                try helper.capture(file.name) { (piece) throws(VarveError) in
                    guard let (facts, part) = try copy.take(piece, warnings) else { return }
                    pages.note(facts, of: part)
                    if let id = part.uid { witnesses.delivered[id] = part.restored }
                }
                return
            } catch let error where error.code == .missing && !copy.isOpened {
                // Removed, renamed or replaced since we looked: the next listing tells. If it is there still, or again,
                // libdb may have looked in between.
                guard case .database(let header)? = try EnvironmentListing.probe(file.path, layout.files),
                    header.fileID == file.uid
                else { return }
                if attempt < Self.attempts { continue }
                throw VarveError(
                    .refused,
                    "libdb does not find \(file.name), or an extent or a partition of it, where it looks",
                    location: file.path,
                    hint:
                        "if the application's code sets data directories, name them with --data-dir, in its order; if a"
                        + " file of the database was removed, stop the application and verify it (db5.3_verify)",
                    cause: error)
            }
        }
    }

    private static let attempts = 4
}
