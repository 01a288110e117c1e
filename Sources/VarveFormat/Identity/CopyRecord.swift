/// `copies/<copy>.json`: what a copy of a repository knows of one of the copies, itself included. It has a checksum and is
/// replaced as a whole; of two records of one copy that with the higher generation is the newer one.
///
/// A copy's own record is its record: it is written when everything that it counts is durable there. Others hear of
/// it afterwards, so nobody knows of a higher generation than the copy itself, unless that was rolled back.
package struct CopyRecord: Codable, Hashable, Sendable {
    package static let directory = "copies"

    package var format: Int
    package var repository: String
    /// 32 hexadecimal digits.
    package var copy: String
    package var label: String
    /// `primary`, `local` or `offsite`: for people.
    package var role: String
    /// Where it was when this was written, absolute, as seen on `host`.
    package var path: String
    package var host: String
    /// Counts the copy's own changes of it, from 1.
    package var generation: UInt64
    /// Drawn anew with each generation: two disks of one generation and different marks are clones that went
    /// different ways.
    package var mark: String
    package var written: Timestamp
    /// The newest snapshot that is whole there: its manifest's name.
    package var newestSnapshot: String?
    package var snapshots: UInt64
    package var packs: UInt64
    /// When this was written, all of the copy up to this snapshot had been read well: its manifest's name.
    package var verifiedSnapshot: String?
    /// Since when it has had everything that the others had.
    package var synchronized: Timestamp?
    /// `copy detach` said that its disk may be removed.
    package var detached: Timestamp?
    /// It does not belong to the repository any more.
    package var removed: Timestamp?

    package init(_ description: CopyDescription, path: String, host: String, mark: String, written: Timestamp)
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
