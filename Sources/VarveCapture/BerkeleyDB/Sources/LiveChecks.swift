import Glibc
import VarveDatabase
import VarveFiles
import VarveFormat
import VarveHelperProtocol

extension EnvironmentCheck {
    /// What can be told before the helper tries: whether there are shared regions that this user may join.
    ///
    /// Throws `.noEnvironment` for an environment that is closed or whose regions are private, `.needsRecovery` for
    /// a panicked one or one that a process left without closing it, and `.notOwner`.
    static func requireJoinable(_ layout: EnvironmentLayout, _ listing: EnvironmentListing) throws(VarveError)
    {
        guard let region = try RegionState.read(layout.files) else {
            let use = try EnvironmentUse.find(layout.files) { () throws(VarveError) in
                try QuietEnvironment.logPaths(layout)
            }
            if let holder = use.processes.first {
                throw VarveError(
                    .noEnvironment,
                    "the environment's regions are private to process \(holder.process) (\(holder.command)): it can't"
                        + " be joined",
                    location: layout.home,
                    hint: "open it without DB_PRIVATE, or stop the application and use --offline")
            }
            throw VarveError(
                .noEnvironment, "nobody has the environment open: it has no regions", location: layout.home,
                hint:
                    "if no application runs, use --offline; otherwise name the directory that holds __db.001 (for 389 "
                    + "Directory Server /dev/shm/slapd-NAME); if there is none, the regions are private (DB_PRIVATE): "
                    + "stop the application and use --offline")
        }
        try requireNative(region, layout.home)
        try QuietEnvironment.requireNoPanic(layout.files)
        if let process = try EnvironmentRegister.read(layout.files)?.dead.first {
            throw VarveError(
                .needsRecovery, "the environment needs recovery: process \(process) ended without closing it",
                location: layout.home,
                hint: "restart the application: the next one that registers runs recovery")
        }
        try requireLivingUsers(layout, listing)
        guard region.isTransactional else {
            throw VarveError(
                .notTransactional, "the environment has no transactions or no logging", location: layout.home,
                hint:
                    "a live backup would not be consistent: stop the application and use --offline"
            )
        }
        let status = try layout.files.status(Path.join(layout.home, RegionState.name), followLinks: false)
        let isMember = layout.files.rights.isMember
        if let status, geteuid() != 0, geteuid() != status.user, !isMember {
            throw VarveError(
                .notOwner, "the environment belongs to user \(status.user), and this is user \(geteuid())",
                location: layout.home,
                hint: "run as its owner (sudo -u) or as root: files that another user makes would break the"
                    + " application")
        }
        if let status, geteuid() == 0 || isMember {
            try layout.files.rights.requireOwnRegion(status, layout.home)
        }
    }

    /// libdb itself would read the regions of another build with the offsets of its own before it looks at their
    /// version (`env_region.c:208`).
    private static func requireNative(_ region: RegionState, _ home: String) throws(VarveError) {
        if case .missingMemory(let segment) = region.place {
            throw VarveError(
                .noEnvironment,
                "the environment's regions were in System V memory (segment \(segment)), which is not here any more:"
                    + " nobody has it open", location: home,
                hint:
                    "run db5.3_recover -h \(home) and use --offline; if the application runs in a container, back up in"
                    + " there")
        }
        guard region.isForeign else { return }
        throw VarveError(
            .libraryMismatch,
            "the environment's regions were made by \(region.maker), and this is for Berkeley DB 5.3 in"
                + " \(MemoryLayout<Int>.size * 8) bits: it can't be joined while it is open", location: home,
            hint: "stop its applications and use --offline")
    }

    /// A process that was killed may have held locks and mutexes in shared memory: to wait for one of them is to
    /// wait for ever. Told only where every process can be seen; others' processes are hidden from most users.
    ///
    /// Where short processes come and go, one may end between the two looks: what a dead one left stays for all of
    /// them.
    private static func requireLivingUsers(_ layout: EnvironmentLayout, _ listing: EnvironmentListing)
        throws(VarveError)
    {
        var references: UInt32 = 0
        for attempt in 0..<8 {
            if attempt > 0 { usleep(100_000) }
            guard let region = try RegionState.read(layout.files), region.attachments == 0,
                let count = region.references, count > 0
            else { return }
            references = count
            let use = try QuietEnvironment.use(layout, listing)
            guard use.processes.isEmpty, use.hiddenProcesses == 0 else { return }
        }
        throw VarveError(
            .needsRecovery,
            "the environment needs recovery: its regions count \(references) open handles, but no process has"
                + " them", location: layout.home,
            hint:
                "start the application with recovery, or run db5.3_recover and use --offline; if its processes run in a"
                + " container, back up where they can be seen")
    }

    /// The logs must be where libdb says that it would look for them. The helper has seen that they are there.
    static func requireLogDirectory(_ layout: EnvironmentLayout, _ preflight: CapturePreflight)
        throws(VarveError)
    {
        let library =
            (try? layout.files.resolve(Path.join(layout.home, preflight.logDirectory)))
            ?? preflight.logDirectory
        guard library == layout.logDirectory.path else {
            throw VarveError(
                .wrongLogDirectory,
                "the environment's logs are in \(library), not in \(layout.logDirectory.path)",
                location: layout.home,
                hint: "name the directory with --log-dir")
        }
    }

    /// No two databases that libdb could take for each other: it keeps a file under the name that the
    /// application gave it, and looks that up in the data directories anew when another process opens it
    /// (`mp_fopen.c:351`). Reading the wrong one is bad; worse, a page of one could be written to the other.
    static func requireDistinctNames(_ listing: EnvironmentListing) throws(VarveError) {
        for file in listing.databases where file.owner == nil && file.name == file.path {
            throw VarveError(
                .refused,
                "two databases are called \(Path.name(file.path)) in different data directories: libdb may"
                    + " take one for the other",
                location: file.path, hint: "move the one that is not in use away, or use --offline")
        }
    }

    /// Everything from the first needed log on is held.
    static func requireContiguous(_ keeper: LogKeeper, first: UInt32) throws(VarveError) {
        let held = keeper.held
        guard held.contains(first) else {
            throw VarveError(
                .missingLog, "log file \(first), which recovery would need first, is not there",
                location: keeper.logDirectory,
                hint: "a needed log was removed or is elsewhere: take a checkpoint, then back up again")
        }
        let last = held.last ?? first
        let present = Set(held)
        if let missing = (first...last).first(where: { !present.contains($0) }) {
            throw VarveError(
                .missingLog, "there is a gap in the logs: \(EnvironmentFileKind.logName(missing)) is missing",
                location: keeper.logDirectory, hint: "put it back, or take a checkpoint, then back up again")
        }
    }
}

enum AtomicReads {
    /// Throws `.refused` unless every database lies on a file system whose reads and writes exclude each
    /// other.
    static func require(_ layout: EnvironmentLayout, _ listing: EnvironmentListing) throws(VarveError) {
        var seen: Set<UInt64> = []
        let files = listing.databases.filter { seen.insert($0.status.device).inserted }.map(\.path)
        for path in [layout.home] + files {
            guard try layout.files.fileSystemType(path) == .xfs else {
                throw VarveError(
                    .refused,
                    "direct reads of a live environment are safe on XFS only: elsewhere a page may be read"
                        + " half old, half new",
                    location: path, hint: "leave out --direct, so that libdb coordinates the copy")
            }
        }
    }
}
