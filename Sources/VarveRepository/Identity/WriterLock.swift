import VarveFiles
import VarveFormat
import VarveStorage

/// The right to write to one copy, for as long as a reference is kept; a crash gives it up.
package final class WriterLock: Sendable {
    private let lease: any WriterLease

    /// - Throws: `.locked` if somebody else has it.
    package init(_ repository: Repository) throws(VarveError) {
        lease = try repository.storage.acquireLease(
            as: "process \(Host.processID) on \(Host.name) since \(Clock.now())")
        try repository.keepIdentityTwice()
    }
}
