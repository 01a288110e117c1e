import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// What `unwedge` found and undid.
package struct UnwedgeReport: Sendable, Hashable {
    /// The helper that left the journal, nil if there was none.
    package var helper: Int32?
    package var repair: CaptureRepair
    /// A helper that waited for an application that is gone, and was ended.
    package var endedHelper: Int32?
    /// Links to log files that were removed.
    package var removedLinks = 0

    /// For people, one fact a line.
    package var lines: [String] {
        var lines: [String] = []
        if let helper {
            lines.append("a capture helper (process \(helper)) died and left a journal: \(repair.summary)")
        } else if endedHelper == nil && removedLinks == 0 {
            lines.append("no backup left anything to undo")
        }
        if let endedHelper { lines.append(EnvironmentLock.describe(endedHelper)) }
        if removedLinks > 0 {
            lines.append(
                removedLinks == 1
                    ? "a link to a log file removed" : "\(removedLinks) links to log files removed")
        }
        switch repair.remainingHotBackups {
        case 0?: break
        case let count?:
            lines.append("the environment still counts \(count) hot backup(s) of other programs")
        case nil:
            lines.append("the environment still counts hot backups of other programs; how many can't be read")
        }
        return lines
    }
}

/// Undoes what a backup left in a live environment when it was killed together with its helper: page writers
/// held (the next checkpoint hangs), the hot-backup counter, automatic log removal.
///
/// Waits for an orphaned helper that is still cleaning up; throws `.locked` while a backup is running, and
/// `.helperStuck` if libdb does not come back: then the environment needs recovery, and the journal stays.
/// - Parameter lock: the environment's lock where the caller has it already.
package func unwedge(
    _ environment: CaptureEnvironment, password: [UInt8]? = nil, lock: EnvironmentLock? = nil,
    executable: String? = nil, limits: HelperLimits = HelperLimits()
) throws(VarveError) -> UnwedgeReport {
    let lock = if let lock { lock } else { try EnvironmentLock(home: environment.home) }
    let files = lock.files
    // Nobody waits for it: what goes wrong with it is told last.
    let links = Result { () throws(VarveError) in try removeLinks(environment, files) }
    func report(_ helper: Int32?, _ repair: CaptureRepair) throws(VarveError) -> UnwedgeReport {
        UnwedgeReport(
            helper: helper, repair: repair, endedHelper: lock.endedHelper,
            removedLinks: try links.get())
    }
    let pending = try EnvironmentJournal.pending(files)
    let isThere = try files.status(Path.join(files.home, RegionState.name)) != nil
    if !isThere, try pending != nil ? true : links.get() > 0 {
        // The application closed or recovered the environment: with the regions went all that could be undone.
        var repair = CaptureRepair()
        if pending != nil {
            try files.perform { () throws(VarveError) in try files.root.unlink(EnvironmentJournal.name) }
            repair.journal = true
            repair.regionsReplaced = true
        }
        repair.remainingHotBackups = 0
        return try report(pending?.process, repair)
    }
    let helper = try BerkeleyDBHelper(
        environment, password: password, lock: lock, executable: executable, slots: 1, limits: limits)
    try helper.join()
    let repair = try helper.repair()
    try helper.close()
    return try report(pending?.process, repair)
}

/// The links to log files that a killed backup left. Only under the environment's lock.
private func removeLinks(_ environment: CaptureEnvironment, _ files: EnvironmentFiles) throws(VarveError)
    -> Int
{
    let options = EnvironmentOptions(
        home: environment.home, dataDirectories: environment.dataDirectories,
        logDirectory: environment.logDirectory)
    return try LogKeeper.removeLinks(
        logDirectory: EnvironmentLayout.find(options).logDirectory.path, files)
}
