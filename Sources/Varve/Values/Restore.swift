import VarveOperations

/// How a snapshot is restored.
public struct RestoreOptions: Sendable {
    /// Runs catastrophic recovery where nothing but the restored files can be reached, verifies every database, and
    /// compares the result with what the snapshot promises.
    public var recovers = true
    /// The password of an encrypted environment.
    public var password: [UInt8]?
    /// Puts data and log directories that lay outside of the home back to where they were.
    public var isInPlace = false
    /// Puts such a directory to another place: absolute paths, from where to where.
    public var map: [String: String] = [:]

    /// A restore with recovery.
    public init() {}
}

/// What a restore did. All of it is durable.
public struct RestoreReport: Sendable {
    /// What recovery has reached, as it was measured afterwards. All databases have passed their verification.
    public struct Recovery: Sendable {
        /// Everything that was durable before this moment is there; nil for an environment without logs.
        public let recoveredTo: Moment?
        /// Databases that were verified, by their paths beneath the home.
        public let verifiedDatabases: [String]
        /// Databases that the application removed or renamed while the backup ran: they are rightly gone.
        public let removedDatabases: [String]
        /// Databases that the backup had missed, and said so.
        public let missingDatabases: [String]
    }

    /// The snapshot: its number and the first digits of its hash.
    public let snapshot: String
    /// The directory of the restored home.
    public let target: String
    /// Files that were restored.
    public let fileCount: Int
    /// Their sizes in all, in bytes.
    public let bytes: UInt64
    /// Nil if no recovery was asked for: recover the environment before anybody opens it.
    public let recovery: Recovery?
    /// Settings that the application must change before it opens the environment, one sentence each.
    public let settings: [String]
    /// What a person should know.
    public let notes: [String]

    init(_ plan: RestorePlan, _ result: Restorer.Report) {
        snapshot = plan.snapshot
        target = plan.target
        fileCount = plan.files.count
        bytes = plan.totalBytes
        recovery = result.recovery.map { report in
            Recovery(
                recoveredTo: report.recoverableTo.map { Moment($0) },
                verifiedDatabases: report.databases.map(\.path), removedDatabases: report.removed,
                missingDatabases: report.missing)
        }
        settings = plan.settings
        notes = (plan.partialRemark.map { [$0] } ?? []) + plan.notes + result.notes
    }
}
