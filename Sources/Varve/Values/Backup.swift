import VarveCopies
import VarveFormat
import VarveOperations

/// How a backup is taken.
public struct BackupOptions: Sendable {
    /// How the files of an environment are read.
    public enum Mode: Sendable {
        /// Through libdb, while applications write.
        case live
        /// Without libdb, of an environment that nobody has open.
        case offline
        /// With plain reads while applications write; on XFS only.
        case direct
    }

    /// How the files are read.
    public var mode = Mode.live
    /// What the environment is called in the repository; nil: as before, or `host:home` the first time.
    public var source: String?
    /// Minimum number of copies that must store the snapshot.
    public var requiredCopies = 1
    /// Only these databases; empty: all. The snapshot is partial then.
    public var only: [String] = []
    /// Stores every log file, also those that the recovery of this snapshot does not need.
    public var storesAllLogs = false
    /// Reads every file, also files that cannot have changed since the snapshot before.
    public var readsEveryFile = false

    /// A live backup of everything.
    public init() {}
}

/// What a backup did. The snapshot is durable on every copy that says so.
public struct BackupReport: Sendable {
    /// Something that a person should know of the backup.
    public struct Warning: Sendable {
        /// A word for programs, as in `page-checksum`.
        public let code: String
        /// One sentence for people.
        public let message: String
        /// The snapshot lacks something, or holds damaged data, because of it.
        public let taints: Bool
    }

    /// What became of the snapshot on one copy.
    public struct CopyReport: Sendable {
        /// The name of the copy.
        public let label: String
        /// Where it is, or was last.
        public let path: String
        /// It has the whole snapshot, durably.
        public let hasSnapshot: Bool
        /// A person should look at the copy.
        public let needsAttention: Bool
        /// Why it has not got the snapshot; nil if it has.
        public let reason: String?
        /// What a person can do about that.
        public let hint: String?
    }

    /// The new snapshot: its number and the first digits of its hash.
    public let snapshot: String
    /// What the environment is called in the repository.
    public let source: String
    /// A restore brings back everything that was durable before this moment; nil if there are no logs.
    public let recoverableTo: Moment?
    /// Bytes that were read from the environment.
    public let bytesRead: UInt64
    /// Bytes that were added to each copy.
    public let bytesStored: UInt64
    /// The snapshot lacks something, or holds damaged data.
    public let isTainted: Bool
    /// What a person should know.
    public let warnings: [Warning]
    /// Each copy of the repository; empty if there is only one.
    public let copies: [CopyReport]
    /// Why what was added is under no parity although the copy keeps some; nil if all is well.
    public let parityProblem: String?
    /// Files that tell which copy a disk is, and that are damaged: `heal` writes them again.
    public let damagedDocuments: [String]

    /// False only if nobody need look: the command `varve backup` exits with 0 then, and with 3 otherwise.
    public var needsAttention: Bool {
        isTainted || parityProblem != nil || !damagedDocuments.isEmpty
            || copies.contains(where: \.needsAttention)
    }

    init(_ result: Archiver.Report, damagedDocuments: [String]) {
        let manifest = result.manifest
        snapshot = result.snapshot.description
        source = result.source
        recoverableTo = manifest.recovery.map { Moment($0.recoverableTo) }
        bytesRead = manifest.statistics.sourceBytes
        bytesStored = manifest.statistics.storedBytes
        isTainted = manifest.tainted
        warnings = manifest.warnings.map { Warning(code: $0.code, message: $0.message, taints: $0.taints) }
        copies = result.copies.map {
            CopyReport(
                label: $0.label, path: $0.path, hasSnapshot: $0.isAcknowledged,
                needsAttention: $0.needsAttention, reason: $0.reason, hint: $0.hint)
        }
        switch result.parity {
        case nil: parityProblem = nil
        case .failure(let error)?: parityProblem = "\(error)"
        case .success(let report)?:
            parityProblem = report.skipped.first.map { "\($0.text): \($0.problem)" }
        }
        self.damagedDocuments = damagedDocuments
    }
}
