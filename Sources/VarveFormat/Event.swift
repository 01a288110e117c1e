/// `events/<sequence>-<hash>`: something that was decided about a repository, for all of its copies. Written once, never
/// changed or deleted; a copy that was away gets those of the others. JSON with sorted keys in one zstd frame.
public struct Event: Codable, Hashable, Sendable {
    public static let currentFormat = 1
    /// Of the stored bytes.
    public static let maximumLength = 1 << 20

    /// A reader passes over kinds that it does not know.
    public struct Kind: RawRepresentable, Codable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        public static let renameSource = Self(rawValue: "source-rename")
        public static let archiveSource = Self(rawValue: "source-archive")
    }

    public struct Rename: Codable, Hashable, Sendable {
        public var from: String
        public var to: String

        public init(from: String, to: String) {
            self.from = from
            self.to = to
        }
    }

    public struct Archive: Codable, Hashable, Sendable {
        public var source: String
        /// Up to this snapshot's number; a later one makes the source a living one again. 0 ends an archiving.
        public var through: UInt64

        public init(source: String, through: UInt64) {
            self.source = source
            self.through = through
        }
    }

    public var format = Event.currentFormat
    public var repository: String
    /// From the same series as the numbers of snapshots.
    public var sequence: UInt64
    /// Names of the manifests and events that nothing followed yet, as far as the writer knew.
    public var previous: [String]
    public var kind: Kind
    public var time: Timestamp
    public var host: String
    public var tool: String
    public var rename: Rename?
    public var archive: Archive?

    public init(
        repository: String, sequence: UInt64, previous: [String], kind: Kind, time: Timestamp, host: String,
        tool: String, rename: Rename? = nil, archive: Archive? = nil
    ) {
        self.repository = repository
        self.sequence = sequence
        self.previous = previous
        self.kind = kind
        self.time = time
        self.host = host
        self.tool = tool
        self.rename = rename
        self.archive = archive
    }
}
