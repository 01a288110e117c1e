import VarveFormat
import VarveRepository

/// A copy as it was found: there or away, and what may be done with it.
package struct RepositoryCopy: Sendable {
    package var record: CopyRecord
    /// Nil if it is away.
    package var repository: Repository?
    /// Why it is away.
    package var absence: VarveError?
    /// Why nothing may be written to it although it is there: `.clonedCopy` or `.rolledBack`.
    package var refusal: VarveError?
    /// Packs, manifests and events that the first has and this one lacks; nil if that was not found out.
    package var lacking: Int?
    let identity: DiskIdentity?
    /// The named copy's record of it was lost: that there is such a copy, `copies.json` says.
    package var isRecordLost = false

    package var isThere: Bool { repository != nil }
    /// A manifest that goes there finds everything it needs.
    package var isComplete: Bool { lacking == 0 }
    /// What a person has to look at: it is there twice, or older than it was, or something is in its place that is
    /// not it. A disk that is away is nothing to look at, and neither is another copy's disk in its place.
    package var trouble: VarveError? {
        refusal ?? absence.flatMap { $0.code == .noRepository ? nil : $0 }
    }
}
