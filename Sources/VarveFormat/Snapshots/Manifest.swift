/// What one snapshot is: every file, where its content lies, and what a recovery of it needs.
///
/// Publishing the manifest commits the snapshot; until then nothing refers to what was stored. On disk it is
/// JSON with sorted keys in one zstd frame (`Documentation/internals/format.md`), so `zstdcat` reads it.
package struct Manifest: Codable, Hashable, Sendable {
    /// The manifest's own layout; a reader refuses a number it does not know.
    package static let currentFormat = 1

    package var format = Manifest.currentFormat
    package var repository: String
    /// Counts from 1; the manifest before has one less.
    package var sequence: UInt64
    /// The object name of the manifest before, nil for the first.
    package var previous: String?
    package var tool: String
    package var host: String
    /// The source that this is a snapshot of, as it was called then; nil in manifests from before it was recorded
    /// (`SourceName.ordinary`).
    package var source: String?
    package var started: Timestamp
    package var finished: Timestamp
    package var environment: Environment?
    package var recovery: Recovery?
    /// Sorted by path, logs included.
    package var files: [StoredFile]
    /// "." and what lies beneath it, parents first.
    package var directories: [StoredDirectory]
    /// Something in the source was damaged, and is stored as it was; `warnings` say what.
    package var tainted: Bool
    package var warnings: [Warning]
    package var statistics: Statistics
    /// What a restore has to be able to do (`Requirement`); a reader refuses a word that it does not know.
    package var requires: [String]?

    package init(
        repository: String, sequence: UInt64, previous: String?, tool: String, host: String,
        started: Timestamp,
        finished: Timestamp, environment: Environment?, recovery: Recovery?, files: [StoredFile],
        directories: [StoredDirectory], warnings: [Warning], statistics: Statistics,
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
    package struct Environment: Codable, Hashable, Sendable {
        package enum Mode: String, Codable, Sendable {
            /// Through libdb, while applications write.
            case live
            /// Plain reads of a live environment on a file system whose page reads are atomic.
            case direct
            /// Nobody had it open.
            case offline
        }

        /// Absolute path at the source.
        package var home: String
        package var mode: Mode
        /// As the checkpoint records carry it; changes when the environment is created anew.
        package var envid: UInt32?
        /// Data directories in the environment's order, as it was told them.
        package var dataDirectories: [PlacedDirectory]
        package var logDirectory: PlacedDirectory
        package var encrypted: Bool
        /// `DB_REGISTER` was in use.
        package var registered: Bool
        /// Only these databases were asked for, as given.
        package var only: [String]?
        /// What was there and is not in the snapshot; nil: nothing, or an earlier varve did not record it.
        package var omitted: Omissions?

        /// A directory by two names: as the environment was told it, and beneath the restored home.
        package struct PlacedDirectory: Codable, Hashable, Sendable {
            /// Relative to the home, or absolute.
            package var original: String
            /// Relative to the restore's target, "." for the home itself.
            package var restored: String
            /// In `DB_CONFIG`, so recovery finds it by itself; otherwise only the application's code knew it.
            package var configured: Bool

            package init(original: String, restored: String, configured: Bool) {
                self.original = original
                self.restored = restored
                self.configured = configured
            }
        }

        package init(
            home: String, mode: Mode, envid: UInt32?, dataDirectories: [PlacedDirectory],
            logDirectory: PlacedDirectory,
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
    package struct Recovery: Codable, Hashable, Sendable {
        /// The first log that recovery needs: the file of the last checkpoint's `ckp_lsn` before the first page.
        package var firstLog: UInt32
        /// The highest log stored.
        package var lastLog: UInt32
        /// The last checkpoint before the first page was read, nil if there was none.
        package var checkpoint: LSN?
        /// That checkpoint's `ckp_lsn`.
        package var checkpointLSN: LSN?
        /// Nil when no page carries one.
        package var largestPageLSN: LSN?
        /// The end of the stored logs: just past their last whole record. Recovery reaches this point.
        package var endOfLog: LSN
        /// When reading the end of the logs began: every transaction that was durable before is in the snapshot.
        package var recoverableTo: Timestamp

        package init(
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
    package struct StoredFile: Codable, Hashable, Sendable {
        package enum Kind: String, Codable, Sendable {
            case database, log, configuration, other
        }

        /// Beneath the restore's target: relative, no "." or "..", "/" between components.
        package var path: String
        package var kind: Kind
        /// In bytes; a sparse tail counts.
        package var size: UInt64
        package var attributes: Attributes
        /// The root of the extent map, nil for an empty file.
        package var map: String?
        package var database: Database?
        package var log: Log?
        /// What the backup found; nil in manifests from before it was recorded.
        package var tally: Tally?
        /// Nil where a later backup must read it in any case.
        package var identity: FileIdentity?
        /// Why it was read, or `unchanged` if it was not (`Reading`); nil where that was no question.
        package var reading: String?

        package init(
            path: String, kind: Kind, size: UInt64, attributes: Attributes, map: String?, database: Database?,
            log: Log?, tally: Tally? = nil, identity: FileIdentity? = nil, reading: String? = nil
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

    package struct StoredDirectory: Codable, Hashable, Sendable {
        /// As `StoredFile.path`; "." is the restored home itself.
        package var path: String
        package var attributes: Attributes

        package init(path: String, attributes: Attributes) {
            self.path = path
            self.attributes = attributes
        }
    }

    /// What a restore gives back besides the bytes.
    package struct Attributes: Codable, Hashable, Sendable {
        /// Permission bits, `07777`.
        package var mode: UInt32
        package var user: UInt32
        package var group: UInt32
        package var modified: Timestamp

        package init(mode: UInt32, user: UInt32, group: UInt32, modified: Timestamp) {
            self.mode = mode
            self.user = user
            self.group = group
            self.modified = modified
        }
    }

    /// A database file's facts.
    package struct Database: Codable, Hashable, Sendable {
        /// `btree`, `recno`, `hash`, `queue`, `heap`; a queue extent or partition is what its owner is.
        package var type: String
        package var pageSize: UInt32
        package var pages: UInt64
        /// 20 bytes in hexadecimal; nil for a queue extent, which has no header of its own.
        package var uid: String?
        package var bigEndian: Bool
        package var checksums: Bool
        package var encrypted: Bool
        package var largestLSN: LSN?
        /// True: no page has a LSN or an item, so nothing was written to it since it was made.
        package var empty: Bool?
        /// Where the file lay at the source, if another database was stored at that path: it took its place.
        package var place: String?
        /// True: it is not there where the logs end. A transaction removed it while the backup ran, or made it and did
        /// not commit.
        package var removed: Bool?

        package init(
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
    package struct Log: Codable, Hashable, Sendable {
        package var number: UInt32
        /// Bytes of whole records; what follows up to `size` is zero in the snapshot.
        package var validLength: UInt64
        package var firstLSN: LSN
        package var lastLSN: LSN
        /// File names in its records that are absolute or climb (`../x`), at most 16: recovery would open them.
        package var absoluteNames: [String]

        package init(
            number: UInt32, validLength: UInt64, firstLSN: LSN, lastLSN: LSN, absoluteNames: [String]
        ) {
            self.number = number
            self.validLength = validLength
            self.firstLSN = firstLSN
            self.lastLSN = lastLSN
            self.absoluteNames = absoluteNames
        }
    }

    package struct Warning: Codable, Hashable, Sendable {
        /// A stable word for programs: `page-checksum`, `page-number`, `encrypted-logs`, …
        package var code: String
        package var message: String
        package var path: String?
        package var page: UInt32?
        /// The snapshot holds damaged data because of it.
        package var taints: Bool

        package init(code: String, message: String, path: String? = nil, page: UInt32? = nil, taints: Bool) {
            self.code = code
            self.message = message
            self.path = path
            self.page = page
            self.taints = taints
        }
    }

    /// What the backup read and what it added to the repository.
    package struct Statistics: Codable, Hashable, Sendable {
        package var sourceBytes: UInt64 = 0
        package var extents: UInt64 = 0
        package var newExtents: UInt64 = 0
        /// Bytes of new extents before compression, and as stored, blob headers included.
        package var newBytes: UInt64 = 0
        package var storedBytes: UInt64 = 0
        /// Of `storedBytes`, what is not source data: maps.
        package var metadataBytes: UInt64 = 0
        /// Of the new extents, those stored against an earlier version, and what they take of `storedBytes`.
        package var deltaExtents: UInt64 = 0
        package var deltaBytes: UInt64 = 0
        /// The most deltas that one of them needs to be decoded.
        package var deepestChain: UInt64 = 0
        /// What was taken over from the snapshot before without being read; nil for none.
        package var unreadFiles: UInt64?
        package var unreadBytes: UInt64?
        package init() {}
    }
}

extension Manifest {
    /// What the source was called.
    package var sourceName: String { source ?? SourceName.ordinary(host: host, home: environment?.home) }

    /// Of all files; as much as can be told where hostile sizes add up to more.
    package var totalBytes: UInt64 {
        files.reduce(0) { sum, file in
            let (total, overflow) = sum.addingReportingOverflow(file.size)
            return overflow ? .max : total
        }
    }
}

extension LSN: Codable {
    /// `[file, offset]`
    package init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        self.init(file: try container.decode(UInt32.self), offset: try container.decode(UInt32.self))
        guard container.isAtEnd else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "an LSN is two numbers")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        try container.encode(file)
        try container.encode(offset)
    }
}
