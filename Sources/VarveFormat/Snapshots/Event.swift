/// `events/<sequence>-<hash>`: something that was decided about a repository, for all of its copies. Written once, never
/// changed or deleted; a copy that was away gets those of the others. JSON with sorted keys in one zstd frame.
package struct Event: Codable, Hashable, Sendable {
    package static let currentFormat = 1
    /// Of the stored bytes.
    package static let maximumLength = 1 << 20

    /// A reader passes over kinds that it does not know.
    package struct Kind: RawRepresentable, Codable, Hashable, Sendable {
        package let rawValue: String
        package init(rawValue: String) { self.rawValue = rawValue }

        package static let renameSource = Self(rawValue: "source-rename")
        package static let archiveSource = Self(rawValue: "source-archive")
    }

    package struct Rename: Codable, Hashable, Sendable {
        package var from: String
        package var to: String

        package init(from: String, to: String) {
            self.from = from
            self.to = to
        }
    }

    package struct Archive: Codable, Hashable, Sendable {
        package var source: String
        /// Up to this snapshot's number; a later one makes the source a living one again. 0 ends an archiving.
        package var through: UInt64

        package init(source: String, through: UInt64) {
            self.source = source
            self.through = through
        }
    }

    package var format = Event.currentFormat
    package var repository: String
    /// From the same series as the numbers of snapshots.
    package var sequence: UInt64
    /// Names of the manifests and events that nothing followed yet, as far as the writer knew.
    package var previous: [String]
    package var kind: Kind
    package var time: Timestamp
    package var host: String
    package var tool: String
    package var rename: Rename?
    package var archive: Archive?

    package init(
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
