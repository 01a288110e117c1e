import Glibc
import VarveDatabase
import VarveFiles
import VarveFormat

/// The proof that nobody has an environment open: made at the start, and again at the end.
///
/// Where nobody can write, nothing has to be proved, and what the regions say is no hindrance.
struct QuietEnvironment {
    private let files: [String: FileStatus]
    /// On file systems that nobody can write to.
    private let isFrozen: Bool
    private var notes: [Manifest.Warning] = []

    /// Throws `.refused` if somebody has it open, or ended without closing it.
    init(_ layout: EnvironmentLayout, _ listing: EnvironmentListing) throws(VarveError) {
        isFrozen = try Self.isFrozen(layout, listing)
        files = try Self.statuses(layout, listing)
        if isFrozen {
            notes = try Self.notes(layout.files)
            return
        }
        try Self.requireNoPanic(layout.files)
        let hidden = try Self.requireUnused(layout, listing)
        try Self.requireCleanClose(layout.files)
        if let region = try RegionState.read(layout.files), region.references == nil {
            notes.append(Self.foreignRegions(region, hidden))
        }
    }

    /// What a person should know of how it was established that nobody writes.
    func report(to warnings: CaptureWarnings) {
        for note in notes { warnings.add(note.code, note.message, taints: note.taints) }
    }

    private static func isFrozen(_ layout: EnvironmentLayout, _ listing: EnvironmentListing)
        throws(VarveError) -> Bool
    {
        let directories = [layout.home] + layout.dataDirectories.map(\.path) + [layout.logDirectory.path]
        // What links in them lead to may lie elsewhere.
        var devices: Set<UInt64> = []
        let files = listing.databases.filter { devices.insert($0.status.device).inserted }.map(\.path)
        for path in directories + files {
            let isFrozen = try layout.files.perform { () throws(VarveError) in
                try FrozenFileSystem.holds(path)
            }
            if !isFrozen { return false }
        }
        return true
    }

    /// Of an environment that nobody can write to: how it stood when it was frozen.
    private static func notes(_ environment: EnvironmentFiles) throws(VarveError) -> [Manifest.Warning] {
        let region = try RegionState.read(environment)
        let register = try EnvironmentRegister.read(environment)
        if region?.isPanicked == true {
            return [
                Manifest.Warning(
                    code: "as-it-lies",
                    message:
                        "the environment had panicked when its file system was made read-only: it is stored as it lies",
                    taints: true)
            ]
        }
        let registered = register.map { $0.living.count + $0.dead.count } ?? 0
        let open = region?.references ?? 0
        if open == 0 && registered == 0 {
            guard let region, region.references == nil else { return [] }
            return [foreignRegions(region, 0)]
        }
        let who = open > 0 ? "\(open) open handles" : "\(registered) processes"
        return [
            Manifest.Warning(
                code: "as-it-lies",
                message:
                    "the environment had \(who) when its file system was made read-only: its files are stored as they"
                    + " lie, and its regions are ignored. Recovery works, as after a crash, if all files are of one"
                    + " moment, as in a snapshot. It does not work if they were copied one after another",
                taints: false)
        ]
    }

    private static func foreignRegions(_ region: RegionState, _ hidden: Int) -> Manifest.Warning {
        var message =
            region.isGone
            ? "the environment's regions were in System V memory, which is not here"
            : "the environment's regions were made by \(region.maker), so how many handles were open can't be read in them"
        if hidden > 0 {
            message += "; \(hidden) processes are hidden from this user, and one of them might have it open"
        }
        return Manifest.Warning(code: "foreign-regions", message: message, taints: false)
    }

    /// Throws `.refused` if somebody has opened it since, or a file was written, created, removed or
    /// replaced.
    func requireUnchanged(_ layout: EnvironmentLayout) throws(VarveError) {
        let listing = try layout.list()
        if !isFrozen { try Self.requireUnused(layout, listing) }
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
    ) throws(VarveError) -> [String: FileStatus] {
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

    static func logPaths(_ layout: EnvironmentLayout) throws(VarveError) -> [String] {
        let directory = layout.logDirectory.path
        return try LogKeeper.numbers(in: directory, layout.files).map {
            Path.join(directory, EnvironmentFileKind.logName($0))
        }
    }

    /// Who has a file of the environment open.
    static func use(_ layout: EnvironmentLayout, _ listing: EnvironmentListing) throws(VarveError)
        -> EnvironmentUse
    {
        try EnvironmentUse.find(layout.files) { () throws(VarveError) in
            try listing.regions + listing.databases.map(\.path) + listing.temporary + logPaths(layout)
        }
    }

    /// Who has its shared memory or a log open.
    static func writers(_ layout: EnvironmentLayout) throws(VarveError) -> [EnvironmentUse.Holder] {
        let region = Path.join(layout.home, RegionState.name)
        return try EnvironmentUse.find(layout.files) { () throws(VarveError) in
            try [region] + logPaths(layout)
        }.processes
    }

    /// - Returns: how many processes this user may not look into.
    @discardableResult
    private static func requireUnused(_ layout: EnvironmentLayout, _ listing: EnvironmentListing)
        throws(VarveError)
        -> Int
    {
        let use = try use(layout, listing)
        if let holder = use.processes.first {
            throw inUse(
                layout.home,
                "process \(holder.process) (\(holder.command)) has \(Path.name(holder.path)) open")
        }
        if let process = try EnvironmentRegister.read(layout.files)?.living.first {
            throw inUse(layout.home, "process \(process) is registered with it")
        }
        if let count = try RegionState.read(layout.files)?.attachments, count > 0 {
            throw inUse(
                layout.home,
                count == 1
                    ? "a process has its memory attached" : "\(count) processes have its memory attached")
        }
        return use.hiddenProcesses
    }

    private static func inUse(_ home: String, _ why: String) -> VarveError {
        VarveError(
            .refused, "the environment is in use: \(why)", location: home,
            hint: "stop the application first, or leave out --offline")
    }

    static func requireNoPanic(_ environment: EnvironmentFiles) throws(VarveError) {
        if try RegionState.read(environment)?.isPanicked == true {
            throw needsRecovery(environment.home, "it has panicked")
        }
    }

    private static func requireCleanClose(_ environment: EnvironmentFiles) throws(VarveError) {
        let home = environment.home
        if let process = try EnvironmentRegister.read(environment)?.dead.first {
            throw needsRecovery(home, "process \(process) ended without closing it")
        }
        guard let region = try RegionState.read(environment) else { return }
        if case .missingMemory(let segment) = region.place {
            throw needsRecovery(
                home, "its regions were in System V memory (segment \(segment)), which is not here any more")
        }
        if let count = region.references, count > 0 {
            throw needsRecovery(home, "its regions count \(count) open handles, but no process has them")
        }
    }

    private static func needsRecovery(_ home: String, _ why: String) -> VarveError {
        VarveError(
            .needsRecovery, "the environment needs recovery: \(why)", location: home,
            hint:
                "run db5.3_recover in the home (or start the application, if it recovers by itself), then back up again;"
                + " if this is a snapshot, mount its file system read-only, and it is stored as it lies"
        )
    }
}
