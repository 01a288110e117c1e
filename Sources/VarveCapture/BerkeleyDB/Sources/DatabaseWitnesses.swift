import VarveDatabase
import VarveFiles
import VarveFormat

/// Whether a backup holds every database of the environment, as four witnesses have it: the directories, libdb's
/// list of files in its cache, the logs, and the files that applications have open. Databases are compared by uid: a
/// name may be another's by now.
///
/// Where a database is in none of the directories, and there is a file for it elsewhere, the backup is refused and
/// that directory proposed. Where there is no file for it and no log says that it was removed, the snapshot is
/// tainted and names it.
struct DatabaseWitnesses {
    let layout: EnvironmentLayout
    /// The user wants all logs stored: what was made since the first of them is in the snapshot by that.
    let storesAllLogs: Bool
    /// By uid: the restored path.
    var delivered: [String: String] = [:]
    /// The last look at the directories, by uid.
    var listed: [String: EnvironmentFile] = [:]
    /// The end of the log just before that; nil where nobody could be asked.
    var lastLook: LSN?

    init(layout: EnvironmentLayout, storesAllLogs: Bool) {
        self.layout = layout
        self.storesAllLogs = storesAllLogs
    }

    /// Throws `.refused` for a file in the cache that belongs to none of the directories.
    ///
    /// - Parameter listing: taken after the cache was asked: what is in neither was made or renamed meanwhile.
    func requireKnownDirectories(_ cached: [String], _ listing: EnvironmentListing) throws(VarveError) {
        let known = Set(listing.databases.compactMap(\.uid))
        for name in cached where !Self.isTemporary(name) {
            guard let (path, id) = find(name), !known.contains(id), isOutside(path) else { continue }
            throw outside(name, path)
        }
    }

    /// Whoever has the environment open writes into a file that was taken away: what has its name is another one, even if
    /// it has the same uid. libdb opens a file by its name when another process writes the cache's pages.
    ///
    /// - Parameter users: who has a file of the environment open just now.
    func checkOpenFiles(_ users: [EnvironmentUse.Holder], _ logged: LoggedFiles, _ warnings: CaptureWarnings)
        throws(VarveError)
    {
        let stored = Dictionary(
            listed.values.filter { $0.uid.map { delivered[$0] != nil } ?? false }.map {
                ($0.path, $0.restored)
            },
            uniquingKeysWith: { first, _ in first })
        let removed = Set(logged.files.values.filter { $0.removed != nil }.map { Path.name($0.name) })
        for file in try EnvironmentUse.removed(Set(stored.keys), by: users) {
            // A transaction removed it: nobody writes to it any more.
            guard let restored = stored[file.path], !removed.contains(Path.name(file.path)) else { continue }
            warnings.add(
                "database-unlinked",
                "database \(restored) is another file than the one that process \(file.process) (\(file.command)) has open"
                    + " and writes to, and no log says so: stop the application, find out which one is right, and back up"
                    + " again", path: restored, taints: true)
        }
    }

    /// What a transaction is making, and extents, which come with their queue.
    private static func isTemporary(_ name: String) -> Bool {
        let last = Path.name(name)
        return last.hasPrefix("__db.") || last.hasPrefix("__dbq.")
    }

    /// What is missing is said in `warnings`.
    ///
    /// - Parameters:
    ///   - logged: what the stored logs say; nil if they can't be read.
    ///   - before: the snapshot before.
    ///   - older: what the logs before the stored ones say, back to this end of the log; nil if they are not all there, or
    ///     the log that ended there was another one: of an environment that was made anew since.
    func check(
        _ logged: LoggedFiles?, before: PreviousSnapshot?, older: (LSN) throws(VarveError) -> LoggedFiles?,
        _ warnings: CaptureWarnings
    ) throws(VarveError) {
        var said: Set<String> = []
        for file in logged?.databases ?? [] where delivered[file.fileID] == nil {
            // Recovery makes it, from its first record on.
            // What is made after the last look, or was on its way from one name to another just then, recovery makes.
            if let created = file.created, isKnown(file.directory) {
                if let lastLook, created >= lastLook { continue }
                if listed[file.fileID] != nil { continue }
                if try layout.list().byUID[file.fileID] != nil { continue }
            }
            said.insert(file.fileID)
            try report(file, warnings)
        }
        let gone = (before?.databases ?? []).filter { file in
            guard let id = file.database?.uid, file.database?.removed != true else { return false }
            return delivered[id] == nil && !said.contains(id) && logged?.files[id]?.removed == nil
        }
        if gone.isEmpty { return }
        let earlier: LoggedFiles? = if let end = before?.endOfLog { try older(end) } else { nil }
        for file in gone {
            guard let id = file.database?.uid, earlier?.files[id]?.removed == nil else { continue }
            let path = file.database?.place ?? file.path
            // Its name was free for one that the logs have made: of an environment that was made anew.
            let isMadeAnew =
                logged?.files[id] == nil
                && delivered.contains { $0.value == path && logged?.files[$0.key]?.created != nil }
            reportGone(path, isProved: earlier != nil && !isMadeAnew, warnings)
        }
    }

    private func report(_ logged: LoggedFiles.DatabaseFile, _ warnings: CaptureWarnings) throws(VarveError) {
        let (name, id) = (logged.name, logged.fileID)
        if let file = listed[id] {
            warnings.add(
                "database-missing",
                "database \(name) is not in this snapshot: it changed too often to be copied; back up again",
                path: file.restored, taints: true)
            return
        }
        // Beside the home is where Berkeley DB's SQL interface has it.
        let near = [logged.directory, ".."].compactMap { $0 }.map { Path.join(layout.home, $0) }
        if let (path, _) = find(name, id, in: near), isOutside(path) {
            let refusal = outside(name, path)
            guard storesAllLogs, logged.created != nil else { throw refusal }
            warnings.add(
                "database-in-logs",
                "database \(name) lies in none of the environment's directories: the snapshot has only its logs, from"
                    + " which recovery creates it. To store it as well: \(refusal.hint ?? "")", path: name)
            return
        }
        let other = delivered.contains { $0.value == name || $0.value.hasSuffix("/" + name) }
        if other && !logged.isOpen {
            warnings.add(
                "database-replaced",
                "database \(name) was replaced by another file, and no log says so: the snapshot has the new one",
                path: name)
            return
        }
        warnings.add(
            "database-missing",
            "database \(name) is not in this snapshot: the logs name it, but its file is "
                + (other ? "another database now" : "not there") + ", and no log says that it was removed",
            path: name, taints: true)
    }

    private func reportGone(_ path: String, isProved: Bool, _ warnings: CaptureWarnings) {
        if isProved {
            warnings.add(
                "database-missing",
                "database \(path) is not in this snapshot: the snapshot before has it, its file is not there, and no"
                    + " log since says that it was removed", path: path, taints: true)
        } else if delivered.values.contains(path) {
            warnings.add(
                "database-replaced",
                "database \(path) of the snapshot before was replaced by another one, which this snapshot has, and no log"
                    + " says so", path: path)
        } else {
            warnings.add(
                "database-gone",
                "database \(path) is not in this snapshot: the snapshot before has it, and the logs that could say that"
                    + " it was removed are not there", path: path)
        }
    }

    /// The database that a name leads to, as libdb looks for it, and its uid.
    ///
    /// - Parameters:
    ///   - id: of the only one that is meant; nil for any.
    ///   - others: directories to look into, besides those of the environment.
    private func find(_ name: String, _ id: String? = nil, in others: [String] = []) -> (
        path: String, id: String
    )? {
        let directories = layout.dataDirectories.map(\.path) + [layout.home] + others
        for path in name.hasPrefix("/") ? [name] : directories.map({ Path.join($0, name) }) {
            guard case .database(let header)? = try? EnvironmentListing.probe(path, layout.files) else {
                continue
            }
            if let id, !id.hasPrefix(header.fileID) { continue }
            return (path, header.fileID)
        }
        return nil
    }

    /// A data directory that was listed, as the logs call it; nil and "" are the home.
    private func isKnown(_ directory: String?) -> Bool {
        guard let directory, !directory.isEmpty, directory != "." else { return true }
        guard let real = try? layout.files.resolve(Path.join(layout.home, directory)) else { return false }
        return ([layout.home] + layout.dataDirectories.map(\.path)).contains(real)
    }

    /// What lies within was listed, or appeared since.
    private func isOutside(_ path: String) -> Bool {
        guard let real = try? layout.files.resolve(path) else { return false }
        return !([layout.home] + layout.dataDirectories.map(\.path)).contains { Placer.lies(real, in: $0) }
    }

    private func outside(_ name: String, _ path: String) -> VarveError {
        let real = (try? layout.files.resolve(path)) ?? path
        return VarveError(
            .refused, "database \(name) of the environment lies in none of its directories", location: real,
            hint: "name its directory, too: --data-dir \(Path.parent(real))")
    }
}

extension EnvironmentFile {
    /// Of a database.
    var uid: String? {
        if case .database(let header) = role { return header.fileID }
        return nil
    }
}
