import VarveFormat
import VarveRepository

/// What a restore will do, decided before anything is written: a value that `--dry-run` prints.
public struct RestorePlan: Sendable, Codable, Hashable {
    /// A reference as `SnapshotReference.description` writes it.
    public var snapshot: String
    public var target: String
    /// Parents first.
    public var directories: [Manifest.Directory]
    /// In the order in which they are written: databases, then everything else, then logs ascending.
    public var files: [Manifest.File]
    public var recovery: Manifest.Recovery?
    public var environment: Manifest.Environment?
    /// Names, absolute or climbing (`../x`), that would let a recovery of the copy reach the live files; empty, or
    /// allowed by the user.
    public var absoluteNames: [String]
    /// What the reader should know; nothing here stops the restore.
    public var notes: [String]

    /// What the restored home lacks, in a sentence; nil: nothing.
    public var partialRemark: String? {
        guard let only = environment?.only else { return nil }
        let others = (environment?.omitted?.entries ?? []).filter {
            $0.kind == Manifest.Omissions.Kind.database.rawValue
        }.map(\.path)
        let more = others.count > 5 ? " and \(others.count - 5) more" : ""
        let names = others.isEmpty ? "" : ": " + others.prefix(5).joined(separator: ", ") + more
        return
            "the snapshot is PARTIAL: the backup was asked for \(only.joined(separator: ", ")) alone, and the"
            + " environment's other databases are not in \(target)" + names
    }

    public var totalBytes: UInt64 { files.reduce(0) { $0 + $1.size } }

    public struct Options: Sendable {
        /// Restore although names in the logs or in `DB_CONFIG` are absolute.
        public var allowAbsolute: Bool

        public init(allowAbsolute: Bool = false) { self.allowAbsolute = allowAbsolute }
    }

    /// - Parameter configuration: names in the snapshot's `DB_CONFIG` that are absolute or climb out of the home.
    /// - Throws: `.corrupt` if the manifest names files outside of the target or a log is missing, `.refused` if
    ///   absolute names are in it and not allowed.
    public init(
        _ manifest: Manifest, reference: SnapshotReference, target: String, configuration: [String],
        options: Options
    ) throws {
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
        absoluteNames = Self.absoluteNames(logs, configuration)
        guard absoluteNames.isEmpty || options.allowAbsolute else {
            throw VarveError(
                .refused,
                "recovery of this snapshot could write to live files: it names "
                    + absoluteNames.prefix(3).joined(separator: ", "),
                hint:
                    "restore on a machine, or in a mount namespace, where these paths are not the live ones, and "
                    + "pass --allow-absolute")
        }
        notes = manifest.warnings.filter(\.taints).map { "tainted: \($0.message)" }
    }

    private static func absoluteNames(_ logs: [Manifest.File], _ configuration: [String]) -> [String] {
        var seen: Set<String> = []
        return (configuration + logs.flatMap { $0.log?.absoluteNames ?? [] }).filter {
            seen.insert($0).inserted
        }
    }

    private static func checkFiles(_ files: [Manifest.File]) throws {
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
    static func checkPath(_ path: String) throws {
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        let isSafe = components.allSatisfy {
            !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255 && !$0.utf8.contains(0)
        }
        guard isSafe, !components.isEmpty else {
            throw VarveError(.corrupt, "the manifest names a file outside of the restore's target: '\(path)'")
        }
    }

    /// Recovery of a gap can succeed and give stale data: coverage is proved here, not left to the database.
    private static func checkLogs(_ manifest: Manifest) throws {
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
                hint: "recovery without it could end well and give stale data: restore another snapshot")
        }
        if let largest = recovery.largestPageLSN, largest >= recovery.endOfLog {
            throw VarveError(
                .corrupt,
                "the snapshot's logs end at \(recovery.endOfLog), before its newest page at \(largest)",
                hint: "restore another snapshot")
        }
    }
}
