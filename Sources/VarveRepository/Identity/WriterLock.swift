import VarveFiles
import VarveFormat

/// The right to write to one copy, for as long as a reference is kept; a crash gives it up.
package final class WriterLock: Sendable {
    private let lock: FileLock

    /// Somebody writes to the copy now.
    package static func isHeld(_ repository: Repository) -> Bool {
        do {
            guard let lock = try FileLock.acquire("lock", in: repository.storage.root(), .shared) else {
                return true
            }
            _ = consume lock
            return false
        } catch {
            return false
        }
    }

    /// - Throws: `.locked` if somebody else has it.
    package init(_ repository: Repository) throws {
        let root = try repository.storage.root()
        guard let lock = try FileLock.acquire("lock", in: root, .exclusive) else {
            throw VarveError(
                .locked, "another varve is writing to \(repository.path)",
                location: FileLock.holder("lock", in: root), hint: "wait until it is done and try again")
        }
        try lock.describeHolder("process \(Host.processID) on \(Host.name) since \(Clock.now())")
        self.lock = lock
        try repository.keepIdentityTwice()
    }
}
