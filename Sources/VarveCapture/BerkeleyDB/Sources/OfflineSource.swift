import Glibc
import VarveDatabase
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// An environment that nobody has open, read file by file, without libdb.
///
/// That nobody has it open is established before the first byte and again after the last: no process has a
/// region, log or database file open or mapped (as far as this user may see), nobody holds a lock in
/// `__db.register`, the regions count no references, and no file has changed meanwhile.
///
/// On a file system that nobody can write to, such as a mounted snapshot, nobody need be excluded: the files are of
/// one moment, and what the regions say is of that moment too. They are stored as they lie, with a note
/// (`as-it-lies`).
///
/// An application that closes an environment leaves no checkpoint behind by itself (`__env_close` takes
/// none), and need not: recovery of the backup begins at the last checkpoint that there is, so the logs from
/// there on are stored, and the end of the log lies past every page. Transactions that were committed without
/// synchronising and never written are in nobody's files, and in no backup.
package final class OfflineSource: CaptureSource {
    private let options: EnvironmentOptions

    package init(_ options: EnvironmentOptions) { self.options = options }

    package var home: String? { options.resolvedHome }

    package func capture(into sink: any CaptureSink) throws(VarveError) -> CaptureSummary {
        let layout = try EnvironmentLayout.find(options)
        // Before the lock: a directory that is no environment stays untouched.
        try EnvironmentCheck.requireEnvironment(layout, layout.list())
        let lock = try Self.lock(layout.files)
        defer { withExtendedLifetime(lock) {} }
        let listing = try layout.list()
        let selected = try listing.selecting(options.only)
        let quiet = try QuietEnvironment(layout, listing)
        let warnings = CaptureWarnings()
        quiet.report(to: warnings)
        listing.report(to: warnings)
        guard let survey = try LogSurvey.find(layout.logDirectory.path, layout.files) else {
            return try captureWithoutLogs(layout, listing, selected, quiet, warnings, into: sink)
        }

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
            noteTorn: warnings.addTornLog)
        let (recovery, logged) = try logs.capture(
            .init(
                first: survey.firstNeeded, checkpoint: survey.checkpoint.map(CaptureCheckpoint.init),
                largestPageLSN: pages.largestLSN, largestPageFile: pages.largestFile, environmentID: nil))
        try quiet.requireUnchanged(layout)
        if options.only.isEmpty {
            var witnesses = DatabaseWitnesses(layout: layout, storesAllLogs: options.allLogs)
            for file in selected.databases {
                if let id = file.uid { witnesses.delivered[id] = file.restored }
            }
            try witnesses.check(
                logged, before: sink.previousSnapshot,
                older: { end in
                    LogSurvey.filesIfReadable(layout, since: end, to: recovery.firstLog)
                }, warnings)
        }
        var summary = CaptureSummary(
            environment: layout.manifest(
                mode: .offline, envid: survey.checkpoint?.environmentID, encrypted: survey.isEncrypted,
                registered: listing.regions.contains { Path.name($0) == EnvironmentRegister.name },
                only: options.only, omitted: listing.omissions(selected, home: layout.home)),
            recovery: recovery, warnings: warnings.all,
            directories: try layout.restoredDirectories(of: pages.delivered, logged))
        if let logged {
            summary.requires = pages.requirements(logged, warnings)
            summary.removed = pages.removed(logged)
        }
        return summary
    }
}

extension OfflineSource {
    /// Databases whose pages name no log record need none: of an application that has reset them when it closed
    /// (`DB_ENV->lsn_reset`), or that never logged.
    ///
    /// Throws `.notTransactional` if a page names one: then there are logs somewhere, and recovery needs them.
    private func captureWithoutLogs(
        _ layout: EnvironmentLayout, _ listing: EnvironmentListing, _ selected: EnvironmentListing,
        _ quiet: QuietEnvironment, _ warnings: CaptureWarnings, into sink: any CaptureSink
    ) throws(VarveError) -> CaptureSummary {
        guard !selected.databases.isEmpty else { throw LogSurvey.noLogs(layout.logDirectory.path) }
        let sizes = (selected.databases + selected.configurations).map(\.status.size)
        sink.expect(totalBytes: sizes.reduce(0, +))
        var pages = PageCapture(
            layout.files, sink: sink, warnings: warnings,
            unchanged: UnchangedFiles(margin: UnchangedFiles.offlineMargin, readsAll: options.readsAll))
        for file in selected.configurations { try pages.copyPlain(file) }
        for file in selected.databases {
            try pages.readDirectly(file)
            guard pages.largestLSN == .zero else {
                var error = LogSurvey.noLogs(layout.logDirectory.path)
                error.message +=
                    "; yet a page of \(file.restored) was logged at \(pages.largestLSN), so its logs are missing"
                throw error
            }
        }
        try quiet.requireUnchanged(layout)
        warnings.add(
            "no-logs",
            "there are no log files, and no page refers to one: the databases are stored as they were closed, and a"
                + " restore needs no recovery")
        return CaptureSummary(
            environment: layout.manifest(
                mode: .offline, envid: nil,
                encrypted: selected.databases.contains { $0.header?.isEncrypted ?? false },
                registered: false, only: options.only,
                omitted: listing.omissions(selected, home: layout.home)),
            recovery: nil, warnings: warnings.all,
            directories: try layout.restoredDirectories(of: pages.delivered, nil))
    }

    /// Nil on a medium that can't be written to: there no other backup could leave anything behind either.
    private static func lock(_ files: EnvironmentFiles) throws(VarveError) -> EnvironmentLock? {
        do {
            return try EnvironmentLock(files)
        } catch let error where error.errno == EROFS {
            return nil
        }
    }
}
