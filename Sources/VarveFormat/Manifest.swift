/// What one snapshot is: every file, where its content lies, and what a recovery of it needs.
///
/// Publishing the manifest commits the snapshot; until then nothing refers to what was stored. On disk it is
/// JSON with sorted keys in one zstd frame (`Documentation/internals/format.md`), so `zstdcat` reads it.
public struct Manifest: Codable, Hashable, Sendable {
    /// The manifest's own layout; a reader refuses a number it does not know.
    public static let currentFormat = 1

    public var format = Manifest.currentFormat
    public var repository: String
    /// Counts from 1; the manifest before has one less.
    public var sequence: UInt64
    /// The object name of the manifest before, nil for the first.
    public var previous: String?
    public var tool: String
    public var host: String
    /// The source that this is a snapshot of, as it was called then; nil in manifests from before it was recorded
    /// (`SourceName.ordinary`).
    public var source: String?
    public var started: Timestamp
    public var finished: Timestamp
    public var environment: Environment?
    public var recovery: Recovery?
    /// Sorted by path, logs included.
    public var files: [File]
    /// "." and what lies beneath it, parents first.
    public var directories: [Directory]
    /// Something in the source was damaged, and is stored as it was; `warnings` say what.
    public var tainted: Bool
    public var warnings: [Warning]
    public var statistics: Statistics
    /// What a restore has to be able to do (`Requirement`); a reader refuses a word that it does not know.
    public var requires: [String]?

    public init(
        repository: String, sequence: UInt64, previous: String?, tool: String, host: String,
        started: Timestamp,
        finished: Timestamp, environment: Environment?, recovery: Recovery?, files: [File],
        directories: [Directory], warnings: [Warning], statistics: Statistics,
        source: String? = nil
    ) {
        self.source = source
        self.repository = repository
        self.sequence = sequence
        self.previous = previous
        self.tool = tool
        self.host = host
        self.started = started
        self.finished = finished
        self.environment = environment
        self.recovery = recovery
        self.files = files
        self.directories = directories
        self.tainted = warnings.contains { $0.taints }
        self.warnings = warnings
        self.statistics = statistics
    }
}

extension Manifest {
    /// The Berkeley DB environment that was captured.
    public struct Environment: Codable, Hashable, Sendable {
        public enum Mode: String, Codable, Sendable {
            /// Through libdb, while applications write.
            case live
            /// Plain reads of a live environment on a file system whose page reads are atomic.
            case direct
            /// Nobody had it open.
            case offline
        }

        /// Absolute path at the source.
        public var home: String
        public var mode: Mode
        /// As the checkpoint records carry it; changes when the environment is created anew.
        public var envid: UInt32?
        /// Data directories in the environment's order, as it was told them.
        public var dataDirectories: [Directory]
        public var logDirectory: Directory
        public var encrypted: Bool
        /// `DB_REGISTER` was in use.
        public var registered: Bool
        /// Only these databases were asked for, as given.
        public var only: [String]?
        /// What was there and is not in the snapshot; nil: nothing, or an earlier varve did not record it.
        public var omitted: Omissions?

        /// A directory by two names: as the environment was told it, and beneath the restored home.
        public struct Directory: Codable, Hashable, Sendable {
            /// Relative to the home, or absolute.
            public var original: String
            /// Relative to the restore's target, "." for the home itself.
            public var restored: String
            /// In `DB_CONFIG`, so recovery finds it by itself; otherwise only the application's code knew it.
            public var configured: Bool

            public init(original: String, restored: String, configured: Bool) {
                self.original = original
                self.restored = restored
                self.configured = configured
            }
        }

        public init(
            home: String, mode: Mode, envid: UInt32?, dataDirectories: [Directory], logDirectory: Directory,
            encrypted: Bool, registered: Bool, only: [String]?
        ) {
            self.home = home
            self.mode = mode
            self.envid = envid
            self.dataDirectories = dataDirectories
            self.logDirectory = logDirectory
            self.encrypted = encrypted
            self.registered = registered
            self.only = only
        }
    }

    /// What catastrophic recovery of this snapshot needs, proved before the commit.
    public struct Recovery: Codable, Hashable, Sendable {
        /// The first log that recovery needs: the file of the last checkpoint's `ckp_lsn` before the first page.
        public var firstLog: UInt32
        /// The highest log stored.
        public var lastLog: UInt32
        /// The last checkpoint before the first page was read, nil if there was none.
        public var checkpoint: LSN?
        /// That checkpoint's `ckp_lsn`.
        public var checkpointLSN: LSN?
        /// Nil when no page carries one.
        public var largestPageLSN: LSN?
        /// The end of the stored logs: just past their last whole record. Recovery reaches this point.
        public var endOfLog: LSN
        /// When reading the end of the logs began: every transaction that was durable before is in the snapshot.
        public var recoverableTo: Timestamp

        public init(
            firstLog: UInt32, lastLog: UInt32, checkpoint: LSN?, checkpointLSN: LSN?, largestPageLSN: LSN?,
            endOfLog: LSN, recoverableTo: Timestamp
        ) {
            self.firstLog = firstLog
            self.lastLog = lastLog
            self.checkpoint = checkpoint
            self.checkpointLSN = checkpointLSN
            self.largestPageLSN = largestPageLSN
            self.endOfLog = endOfLog
            self.recoverableTo = recoverableTo
        }
    }

    /// One file of the snapshot.
    public struct File: Codable, Hashable, Sendable {
        public enum Kind: String, Codable, Sendable {
            case database, log, configuration, other
        }

        /// Beneath the restore's target: relative, no "." or "..", "/" between components.
        public var path: String
        public var kind: Kind
        /// In bytes; a sparse tail counts.
        public var size: UInt64
        public var attributes: Attributes
        /// The root of the extent map, nil for an empty file.
        public var map: String?
        public var database: Database?
        public var log: Log?
        /// What the backup found; nil in manifests from before it was recorded.
        public var tally: Tally?
        /// Nil where a later backup must read it in any case.
        public var identity: Identity?
        /// Why it was read, or `unchanged` if it was not (`Reading`); nil where that was no question.
        public var reading: String?

        public init(
            path: String, kind: Kind, size: UInt64, attributes: Attributes, map: String?, database: Database?,
            log: Log?, tally: Tally? = nil, identity: Identity? = nil, reading: String? = nil
        ) {
            self.path = path
            self.kind = kind
            self.size = size
            self.attributes = attributes
            self.map = map
            self.database = database
            self.log = log
            self.tally = tally
            self.identity = identity
            self.reading = reading
        }
    }

    public struct Directory: Codable, Hashable, Sendable {
        /// As `File.path`; "." is the restored home itself.
        public var path: String
        public var attributes: Attributes

        public init(path: String, attributes: Attributes) {
            self.path = path
            self.attributes = attributes
        }
    }

    /// What a restore gives back besides the bytes.
    public struct Attributes: Codable, Hashable, Sendable {
        /// Permission bits, `07777`.
        public var mode: UInt32
        public var user: UInt32
        public var group: UInt32
        public var modified: Timestamp

        public init(mode: UInt32, user: UInt32, group: UInt32, modified: Timestamp) {
            self.mode = mode
            self.user = user
            self.group = group
            self.modified = modified
        }
    }

    /// A database file's facts.
    public struct Database: Codable, Hashable, Sendable {
        /// `btree`, `recno`, `hash`, `queue`, `heap`; a queue extent or partition is what its owner is.
        public var type: String
        public var pageSize: UInt32
        public var pages: UInt64
        /// 20 bytes in hexadecimal; nil for a queue extent, which has no header of its own.
        public var uid: String?
        public var bigEndian: Bool
        public var checksums: Bool
        public var encrypted: Bool
        public var largestLSN: LSN?
        /// Where the file lay at the source, if another database was stored at that path: it took its place.
        public var place: String?
        /// True: it is not there where the logs end. A transaction removed it while the backup ran, or made it and did
        /// not commit.
        public var removed: Bool?

        public init(
            type: String, pageSize: UInt32, pages: UInt64, uid: String?, bigEndian: Bool, checksums: Bool,
            encrypted: Bool, largestLSN: LSN?
        ) {
            self.type = type
            self.pageSize = pageSize
            self.pages = pages
            self.uid = uid
            self.bigEndian = bigEndian
            self.checksums = checksums
            self.encrypted = encrypted
            self.largestLSN = largestLSN
        }
    }

    /// A log file's facts.
    public struct Log: Codable, Hashable, Sendable {
        public var number: UInt32
        /// Bytes of whole records; what follows up to `size` is zero in the snapshot.
        public var validLength: UInt64
        public var firstLSN: LSN
        public var lastLSN: LSN
        /// File names in its records that are absolute or climb (`../x`), at most 16: recovery would open them.
        public var absoluteNames: [String]

        public init(number: UInt32, validLength: UInt64, firstLSN: LSN, lastLSN: LSN, absoluteNames: [String])
        {
            self.number = number
            self.validLength = validLength
            self.firstLSN = firstLSN
            self.lastLSN = lastLSN
            self.absoluteNames = absoluteNames
        }
    }

    public struct Warning: Codable, Hashable, Sendable {
        /// A stable word for programs: `page-checksum`, `page-number`, `encrypted-logs`, …
        public var code: String
        public var message: String
        public var path: String?
        public var page: UInt32?
        /// The snapshot holds damaged data because of it.
        public var taints: Bool

        public init(code: String, message: String, path: String? = nil, page: UInt32? = nil, taints: Bool) {
            self.code = code
            self.message = message
            self.path = path
            self.page = page
            self.taints = taints
        }
    }

    /// What the backup read and what it added to the repository.
    public struct Statistics: Codable, Hashable, Sendable {
        public var sourceBytes: UInt64 = 0
        public var extents: UInt64 = 0
        public var newExtents: UInt64 = 0
        /// Bytes of new extents before compression, and as stored, blob headers included.
        public var newBytes: UInt64 = 0
        public var storedBytes: UInt64 = 0
        /// Of `storedBytes`, what is not source data: maps.
        public var metadataBytes: UInt64 = 0
        /// Of the new extents, those stored against an earlier version, and what they take of `storedBytes`.
        public var deltaExtents: UInt64 = 0
        public var deltaBytes: UInt64 = 0
        /// The most deltas that one of them needs to be decoded.
        public var deepestChain: UInt64 = 0
        /// What was taken over from the snapshot before without being read; nil for none.
        public var unreadFiles: UInt64?
        public var unreadBytes: UInt64?
        public init() {}
    }
}

extension Manifest {
    /// What the source was called.
    public var sourceName: String { source ?? SourceName.ordinary(host: host, home: environment?.home) }

    /// Of all files; as much as can be told where hostile sizes add up to more.
    public var totalBytes: UInt64 {
        files.reduce(0) { sum, file in
            let (total, overflow) = sum.addingReportingOverflow(file.size)
            return overflow ? .max : total
        }
    }
}

extension LSN: Codable {
    /// `[file, offset]`
    public init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        self.init(file: try container.decode(UInt32.self), offset: try container.decode(UInt32.self))
        guard container.isAtEnd else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "an LSN is two numbers")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        try container.encode(file)
        try container.encode(offset)
    }
}
