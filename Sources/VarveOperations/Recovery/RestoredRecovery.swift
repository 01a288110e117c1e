import VarveCapture
import VarveDatabase
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// The one recovery of restored files, of `restore --recover` and of the drill: catastrophic, where nothing but the
/// restored files can be reached, each at its place of old; then `db_verify`, and a measurement of what was reached.
struct RestoredRecovery {
    private let plan: RestorePlan
    private let password: [UInt8]?
    private let cancellation: Cancellation
    private let check: RecoveryCheck

    init(_ plan: RestorePlan, password: [UInt8]?, cancellation: Cancellation) {
        self.plan = plan
        self.password = password
        self.cancellation = cancellation
        check = RecoveryCheck(plan, cancellation)
    }

    /// Throws before anything is restored what would keep recovery from its work.
    static func requirePossible(_ plan: RestorePlan, password: [UInt8]?) throws(VarveError) {
        guard let environment = plan.environment else {
            throw VarveError(
                .refused,
                "snapshot \(plan.snapshot) is not of a database environment: there is nothing to recover",
                hint: "leave out --recover")
        }
        if environment.encrypted && password == nil {
            throw VarveError(
                .wrongKey, "the environment is encrypted: its recovery needs the password",
                hint: "give it with --password-file")
        }
    }

    /// - Parameters:
    ///   - staging: nobody else reaches it.
    ///   - tree: the name of the restored home in it; it is there again when this returns.
    ///   - rewrite: writes the `DB_CONFIG` of the plan, where recovery needs it before: not at the places of old.
    /// - Throws: what libdb says, `.wrongKey`, `.interrupted`; `.refused` where recovery can't be confined and could
    ///   reach other files. What is in `staging` is of no use then.
    func run(
        in staging: RootDirectory, tree: String, rewrite: () throws(VarveError) -> Void
    ) throws(VarveError) -> RecoveryReport {
        guard let environment = plan.environment else {
            throw VarveError(.invalid, "snapshot \(plan.snapshot) is not of a database environment")
        }
        let home = try staging.directory(tree)
        let logs = try RestoredLogs(
            in: home.directory(environment.logDirectory.restored), plan.files.compactMap { $0.log?.number },
            cancellation)
        let configuration = try home.read("DB_CONFIG", limit: DatabaseConfiguration.maximumByteCount)
            .map { $0.withUnsafeBytes { DatabaseConfiguration(parsing: $0) } }
        var places: [String] = []
        var isIsolated = true
        var verified: [CaptureVerification] = []
        var strangers: [String] = []
        // Without logs there is nothing to recover: it would make some.
        let isDone =
            if plan.recovery == nil { true } else { try recoverByUID(staging, tree, environment, rewrite) }
        let files = Self.uids(plan.files)
        let layout = RecoveryLayout(
            environment, configuration: configuration, names: logs.names, files: files)
        let room = try RecoveryRoom(layout, in: staging, tree: tree)
        do {
            verified = try confined(room, recovers: !isDone)
            places = layout.moves.map(\.place)
            strangers = try room.clear()
        } catch let error where error.code == .noIsolation {
            _ = try room.clear()
            // With the directories as they are here.
            let changed = plan.configuration.map { text in
                Array(text.utf8).withUnsafeBytes { DatabaseConfiguration(parsing: $0) }
            }
            try requireHarmless(logs, changed ?? configuration, error)
            try rewrite()
            isIsolated = false
            verified = try unconfined(environment, home, staging, tree, recovers: !isDone)
        } catch {
            // For whoever wants to save something of them.
            Notices.attempt(
                .warning, tree, "restored directories can't be moved back from where recovery ran"
            ) {
                _ = try room.clear()
            }
            throw error
        }
        let end = try RestoredLogs.end(in: home.directory(environment.logDirectory.restored))
        let found = try check.databases(in: home)
        let measured = try check.differences(in: home, before: logs, end: end, found: found)
        let unsaid = strangers.filter { path in !measured.differences.contains { $0.contains(path) } }
        let outside = unsaid.prefix(20).map {
            "recovery made \($0), which lies in no directory of the snapshot: it is at \(RecoveryRoom.outside)\($0) beneath"
                + " the restored home"
        }
        return RecoveryReport(
            endOfLog: end, recoverableTo: plan.recovery?.recoverableTo,
            databases: verified.map { .init(path: $0.file, isGood: $0.code == 0, messages: $0.messages) },
            differences: measured.differences + outside, removed: measured.removed, missing: measured.missing,
            isIsolated: isIsolated, places: places)
    }

    private static func uids(_ files: [Manifest.StoredFile]) -> [String: String] {
        Dictionary(
            files.compactMap { file in file.database?.uid.map { ($0, file.path) } },
            uniquingKeysWith: { first, _ in first })
    }

    /// Where names changed within the logs, libdb alone would lose databases. Nothing that such a recovery reads names a
    /// file outside of its directory.
    ///
    /// - Returns: whether recovery is done.
    private func recoverByUID(
        _ staging: RootDirectory, _ tree: String, _ environment: Manifest.Environment,
        _ rewrite: () throws(VarveError) -> Void
    ) throws(VarveError) -> Bool {
        let home = Path.join(try Path.resolve(staging.path), tree)
        guard
            var recovery = try UIDRecovery.prepare(
                home: home, logDirectory: Path.join(home, environment.logDirectory.restored),
                files: plan.recoveryFiles)
        else { return false }
        do {
            let helper = try makeHelper(CaptureEnvironment(home: recovery.directory))
            try recover(helper)
            try helper.close()
            _ = try recovery.finish()
        } catch {
            recovery.abandonQuietly()
            throw error
        }
        return true
    }

    /// - Returns: the verdicts, with paths beneath the restored home.
    private func confined(_ room: RecoveryRoom, recovers: Bool) throws(VarveError) -> [CaptureVerification] {
        let layout = room.layout
        let helper = try makeHelper(
            CaptureEnvironment(
                home: layout.home, dataDirectories: layout.dataDirectories, logDirectory: layout.logDirectory),
            root: room.root)
        try helper.confine(home: layout.home)
        if recovers { try recover(helper) }
        // By absolute names: libdb would look for a relative one in every data directory, and take the first.
        return try verify(helper, databases(room)) { layout.place(of: $0) }
    }

    private func databases(_ room: RecoveryRoom) throws(VarveError) -> [String] {
        let parts = room.layout.moves.map {
            (restored: $0.restored, place: String($0.place.drop { $0 == "/" }))
        }
        let places = Set(parts.map(\.place))
        var databases: [String] = []
        for part in parts {
            databases += try check.databases(in: room.root.directory(part.place)).map(\.path).filter { path in
                !places.contains { $0 != part.place && RecoveryLayout.isAt(part.place + "/" + path, $0) }
            }.map { part.restored == "." ? $0 : part.restored + "/" + $0 }
        }
        return databases.sorted()
    }

    private func recover(_ helper: BerkeleyDBHelper) throws(VarveError) {
        do {
            try helper.recover()
        } catch var error {
            if error.code == .wrongKey || error.code == .interrupted { throw error }
            // It names a place in the room.
            error.location = plan.target
            throw error
        }
    }

    private func verify(
        _ helper: BerkeleyDBHelper, _ paths: [String], _ place: (String) -> String
    ) throws(VarveError) -> [CaptureVerification] {
        let results = try helper.verify(paths.map(place))
        try helper.close()
        return zip(paths, results).map { path, result in
            var result = result
            result.file = path
            return result
        }
    }

    private func makeHelper(
        _ environment: CaptureEnvironment, root: RootDirectory? = nil
    ) throws(VarveError) -> BerkeleyDBHelper {
        try BerkeleyDBHelper(
            environment, password: password, lock: nil, root: root,
            cancellation: cancellation)
    }

    // MARK: Where the kernel does not confine

    /// What the restored files themselves say counts, not the manifest.
    private func requireHarmless(
        _ logs: RestoredLogs, _ configuration: DatabaseConfiguration?, _ cause: VarveError
    ) throws(VarveError) {
        var reasons = logs.names.map { "its logs name \($0.path)" }
        if logs.isEncrypted { reasons.append("the names in its logs are encrypted") }
        for directory in (configuration?.directories ?? [])
        where directory != configuration?.temporaryDirectory {
            if RestoredLogs.leadsElsewhere(directory) { reasons.append("its DB_CONFIG names \(directory)") }
        }
        reasons += configuration?.problems.map { "DB_CONFIG: \($0)" } ?? []
        guard !reasons.isEmpty else { return }
        throw VarveError(
            .refused,
            "recovery of this snapshot could write to other files than the restored ones: "
                + reasons.prefix(3).joined(separator: ", "),
            hint:
                "run it as root, or where a process may make user namespaces; or restore without --recover",
            cause: cause)
    }

    private func unconfined(
        _ environment: Manifest.Environment, _ home: RootDirectory, _ staging: RootDirectory, _ tree: String,
        recovers: Bool
    ) throws(VarveError) -> [CaptureVerification] {
        let path = Path.join(try Path.resolve(staging.path), tree)
        let unknown = environment.dataDirectories.filter { !$0.configured }.map(\.restored)
        let logs = environment.logDirectory
        let helper = try makeHelper(
            CaptureEnvironment(
                home: path, dataDirectories: unknown,
                logDirectory: logs.configured || logs.restored == "." ? nil : logs.restored))
        if recovers { try recover(helper) }
        return try verify(helper, try check.databases(in: home).map(\.path)) { Path.join(path, $0) }
    }
}
