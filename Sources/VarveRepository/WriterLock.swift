import VarveFiles
import VarveFormat

/// The right to write to one copy, for as long as a reference is kept; a crash gives it up.
final class WriterLock: Sendable {
    private let lock: FileLock

    /// - Throws: `.locked` if somebody else has it.
    init(_ repository: Repository) throws {
        let path = Path.join(repository.path, "lock")
        guard let lock = try FileLock.acquire(path, .exclusive) else {
            throw VarveError(
                .locked, "another varve is writing to \(repository.path)",
                location: FileLock.holder(path), hint: "wait until it is done and try again")
        }
        try lock.describeHolder("process \(Host.processID) on \(Host.name) since \(Clock.now())")
        self.lock = lock
        try repository.keepIdentityTwice()
    }
}
