import VarveFormat

/// One backup in a repository.
public struct Snapshot: Hashable, Sendable, Identifiable, CustomStringConvertible {
    /// The whole name of the snapshot: its number and the hash of its manifest.
    public let id: String
    /// Snapshots of a repository are numbered from 1.
    public let number: UInt64
    /// What the environment is called in the repository.
    public let source: String
    /// The host on which the backup was taken.
    public let host: String
    /// The home directory of the environment; nil if the snapshot is of something else.
    public let home: String?
    /// When the backup ended.
    public let finished: Moment
    /// A restore brings back everything that was durable before this moment; nil if there are no logs.
    public let recoverableTo: Moment?
    /// Files in the snapshot.
    public let fileCount: Int
    /// Their sizes in all, in bytes.
    public let bytes: UInt64
    /// Bytes that the backup added to each copy of the repository.
    public let storedBytes: UInt64
    /// The snapshot lacks something, or holds damaged data: the backup's warnings say what.
    public let isTainted: Bool
    /// The backup was asked for some of the environment's databases only.
    public let isPartial: Bool

    /// As people write it: the number and the first digits of the hash.
    public var description: String { reference.description }

    let reference: SnapshotReference

    init(_ summary: SnapshotSummary, source: String, isTainted: Bool) {
        reference = summary.reference
        id = reference.name
        number = summary.sequence
        self.source = source
        host = summary.host
        home = summary.home
        finished = Moment(summary.finished)
        recoverableTo = summary.recoverableTo.map { Moment($0) }
        fileCount = Int(clamping: summary.files)
        bytes = summary.bytes
        storedBytes = summary.storedBytes
        self.isTainted = isTainted
        isPartial = summary.isPartial
    }
}
