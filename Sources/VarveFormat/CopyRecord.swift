/// `copies/<copy>.json`: what a copy of a repository knows of one of the copies, itself included. Sealed, replaced as a
/// whole; of two records of one copy that with the higher generation is the newer one.
///
/// A copy's own record is its receipt: it is written when everything that it counts is durable there. Others hear of
/// it afterwards, so nobody knows of a higher generation than the copy itself, unless that was rolled back.
public struct CopyRecord: Codable, Hashable, Sendable {
    public static let directory = "copies"

    public var format: Int
    public var repository: String
    /// 32 hexadecimal digits.
    public var copy: String
    public var label: String
    /// `primary`, `local` or `offsite`: for people.
    public var role: String
    /// Where it was when this was written, absolute, as seen on `host`.
    public var path: String
    public var host: String
    /// Counts the copy's own changes of it, from 1.
    public var generation: UInt64
    /// Drawn anew with each generation: two disks of one generation and different marks are clones that went
    /// different ways.
    public var mark: String
    public var written: Timestamp
    /// The newest snapshot that is whole there: its manifest's name.
    public var newestSnapshot: String?
    public var snapshots: UInt64
    public var packs: UInt64
    /// When this was written, all of the copy up to this snapshot had been read well: its manifest's name.
    public var verifiedSnapshot: String?
    /// Since when it has had everything that the others had.
    public var synchronized: Timestamp?
    /// `copy detach` said that its disk may be removed.
    public var detached: Timestamp?
    /// It does not belong to the repository any more.
    public var removed: Timestamp?

    public init(_ description: CopyDescription, path: String, host: String, mark: String, written: Timestamp)
    {
        format = RepositoryDescription.currentFormat
        repository = description.repository
        copy = description.copy
        label = description.label
        role = description.role
        self.path = path
        self.host = host
        self.mark = mark
        self.written = written
        generation = 1
        snapshots = 0
        packs = 0
    }
}
