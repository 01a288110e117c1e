import Synchronization
import VarveFormat

/// A request to stop, set from a signal handler or another thread and looked at between units of work.
public final class Cancellation: Sendable {
    private let requested = Atomic<Bool>(false)

    public init() {}

    public func request() { requested.store(true, ordering: .relaxed) }

    public var isRequested: Bool { requested.load(ordering: .relaxed) }

    /// Throws `.interrupted` once it was requested.
    public func check() throws {
        if isRequested { throw VarveError(.interrupted, "interrupted") }
    }
}

/// How far a long operation is.
public struct Progress: Sendable {
    /// What is being worked on now, a path or an object.
    public var item: String
    public var bytesDone: UInt64
    /// Nil while nobody knows.
    public var bytesTotal: UInt64?

    public init(item: String, bytesDone: UInt64, bytesTotal: UInt64?) {
        self.item = item
        self.bytesDone = bytesDone
        self.bytesTotal = bytesTotal
    }
}
