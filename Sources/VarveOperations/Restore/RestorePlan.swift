import VarveFiles
import VarveFormat
import VarveRepository

/// What a restore will do, decided before anything is written: a value that `--dry-run` prints.
package struct RestorePlan: Sendable, Codable, Hashable {
    /// A reference as `SnapshotReference.description` writes it.
    package var snapshot: String
    package var target: String
    /// Parents first.
    package var directories: [Manifest.StoredDirectory]
    /// In the order in which they are written: databases, then everything else, then logs ascending.
    package var files: [Manifest.StoredFile]
    package var recovery: Manifest.Recovery?
    package var environment: Manifest.Environment?
    /// Names in the logs, absolute or climbing (`../x`), as the manifest has them: at most 16 of each log.
    package var absoluteNames: [String]
    /// The home, and each data or log directory outside of it: from where to where.
    package var places: [Place]
    /// What the restored `DB_CONFIG` says where it can't stay as it was; nil: it stays.
    package var configuration: String?
    /// What the application has to be told before it opens the environment.
    package var settings: [String]
    /// Why `db_recover -c` would not recover it as it lies; nil: it does.
    package var plainRecoveryFails: String?
    /// Databases that the backup itself has missed, as its logs call them.
    package var missing: [String]
    /// What the reader should know; nothing here stops the restore.
    package var notes: [String]

    /// What a partial snapshot lacks, in a sentence; nil: it is whole.
    package var partialRemark: String? {
        guard let only = environment?.only else { return nil }
        let others = (environment?.omitted?.entries ?? []).filter {
            $0.kind == Manifest.Omissions.Kind.database.rawValue
        }.map(\.path)
        let more = others.count > 5 ? " and \(others.count - 5) more" : ""
        let names = others.isEmpty ? "" : ": " + others.prefix(5).joined(separator: ", ") + more
        return
            "the snapshot is PARTIAL: the backup stored only \(only.joined(separator: ", ")), and not the"
            + " environment's other databases" + names
            + "; if recovery creates one of them, its content comes from the logs alone"
    }

    package var totalBytes: UInt64 { files.reduce(0) { $0 + $1.size } }

    package struct Options: Sendable {
        /// The target's path from the root on; nil: as it was given.
        package var absoluteTarget: String?
        /// Data and log directories outside of the home go back to where they were.
        package var inPlace: Bool
        /// Or such a one, and what is beneath it, to another place: absolute paths.
        package var map: [String: String]

        package init(absoluteTarget: String? = nil, inPlace: Bool = false, map: [String: String] = [:]) {
            self.absoluteTarget = absoluteTarget
            self.inPlace = inPlace
            self.map = map
        }
    }

    /// - Parameter bytes: the snapshot's `DB_CONFIG`.
    /// - Throws: `.corrupt` if the manifest names files outside of the target or a log is missing, `.invalid` if a
    ///   directory can't go where the options say.
    package init(
        _ manifest: Manifest, reference: SnapshotReference, target: String, configuration bytes: [UInt8]?,
        options: Options
    ) throws(VarveError) {
        let manifest = Self.withShortNames(manifest)
        snapshot = reference.description
        self.target = target
        environment = manifest.environment
        recovery = manifest.recovery
        directories = manifest.directories
        for directory in directories where directory.path != "." { try Self.checkPath(directory.path) }
        // Recovery is told these: they too must stay beneath the target.
        if let environment {
            for place in environment.dataDirectories + [environment.logDirectory] where place.restored != "."
            {
                try Self.checkPath(place.restored)
            }
        }
        try Self.checkFiles(manifest.files)
        try Self.checkLogs(manifest)
        let logs = manifest.files.filter { $0.kind == .log }.sorted {
            ($0.log?.number ?? 0) < ($1.log?.number ?? 0)
        }
        let databases = manifest.files.filter { $0.kind == .database }
        let others = manifest.files.filter { $0.kind != .database && $0.kind != .log }
        files = databases + others + logs
        absoluteNames = Self.absoluteNames(logs)
        places = []
        settings = []
        configuration = nil
        plainRecoveryFails = nil
        let taints = manifest.warnings.filter(\.taints)
        missing = taints.filter { $0.code == "database-missing" }.compactMap(\.path)
        notes = taints.map { "tainted: \($0.message)" }
        guard let environment else { return }
        let placement = try Placement(environment, target: options.absoluteTarget ?? target, options: options)
        places = placement.places
        settings = Self.settings(placement, names: absoluteNames)
        if let changed = Self.configuration(bytes, placement) {
            configuration = String(validating: changed, as: UTF8.self)
            if configuration == nil {
                settings.append(
                    "DB_CONFIG is not UTF-8 text and was not changed: change its directories by hand")
            }
        }
        plainRecoveryFails =
            manifest.requires?.contains(Manifest.Requirement.recoveryByUID) == true
            ? "databases changed their names within its logs, and libdb would remove some"
            : Self.plainRecoveryFails(environment, placement, settings)
    }

    private static func absoluteNames(_ logs: [Manifest.StoredFile]) -> [String] {
        var seen: Set<String> = []
        return logs.flatMap { $0.log?.absoluteNames ?? [] }.filter { seen.insert($0).inserted }
    }

    private static func checkFiles(_ files: [Manifest.StoredFile]) throws(VarveError) {
        var seen: Set<String> = []
        var total: UInt64 = 0
        for file in files {
            try checkPath(file.path)
            let (sum, overflow) = total.addingReportingOverflow(file.size)
            guard !overflow, sum <= UInt64(Int64.max) else {
                throw VarveError(
                    .corrupt, "the manifest gives \(file.path) \(file.size) bytes: more than can be")
            }
            total = sum
            guard seen.insert(file.path).inserted else {
                throw VarveError(.corrupt, "the manifest lists \(file.path) twice")
            }
        }
    }

    /// A manifest is input: it must not lead out of the target.
    static func checkPath(_ path: String) throws(VarveError) {
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        let isSafe = components.allSatisfy {
            !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255 && !$0.utf8.contains(0)
        }
        guard isSafe, !components.isEmpty else {
            throw VarveError(.corrupt, "the manifest names a file outside of the restore's target: '\(path)'")
        }
    }

    /// Recovery of a gap can succeed and give stale data: coverage is proved here, not left to the database.
    private static func checkLogs(_ manifest: Manifest) throws(VarveError) {
        guard let recovery = manifest.recovery else { return }
        let numbers = Set(manifest.files.compactMap { $0.log?.number })
        guard recovery.firstLog <= recovery.lastLog else {
            throw VarveError(
                .corrupt,
                "the snapshot's recovery needs the logs from \(recovery.firstLog) to \(recovery.lastLog), which are none",
                hint: "restore another snapshot")
        }
        // Lazily: a hostile manifest may need four billion logs.
        let missing = (recovery.firstLog...recovery.lastLog).lazy.filter { !numbers.contains($0) }.prefix(5)
        guard missing.isEmpty else {
            let list = missing.map(String.init).joined(separator: ", ")
            throw VarveError(
                .corrupt, "the snapshot lacks log \(list), which its recovery needs",
                hint: "restore another snapshot: recovery without this log could succeed and give old data")
        }
        if let largest = recovery.largestPageLSN, largest >= recovery.endOfLog {
            throw VarveError(
                .corrupt,
                "the snapshot's logs end at \(recovery.endOfLog), before its newest page at \(largest)",
                hint: "restore another snapshot")
        }
    }
}

extension Sequence<Manifest.StoredFile> {
    /// At least, as far as can be told before: what is preallocated in a log takes no room. What recovery adds shows
    /// when it does.
    var bytesToWrite: UInt64 { reduce(0) { $0 + Swift.min($1.size, $1.log?.validLength ?? .max) } }
}
