import Glibc
import Synchronization
import VarveFormat

/// A request to stop, set from a signal handler or another thread and looked at between units of work.
package final class Cancellation: Sendable {
    private let requested = Atomic<Bool>(false)
    /// Wakes whoever waits for other descriptors as well. Nil where no more are to be had: then one has to look.
    private let wake: WakePipe?

    package init() { wake = try? WakePipe() }

    /// May be called in a signal handler.
    package func request() {
        requested.store(true, ordering: .relaxed)
        wake?.write()
    }

    /// Becomes readable with the request, and stays so.
    package var descriptor: Int32? { wake?.descriptor }

    package var isRequested: Bool { requested.load(ordering: .relaxed) }

    /// Throws `.interrupted` once it was requested.
    package func check() throws(VarveError) {
        if isRequested { throw VarveError(.interrupted, "interrupted") }
    }
}

/// Its own class: a pipe can't be copied, and may be missing.
private final class WakePipe: Sendable {
    private let pipe: VarveFiles.Pipe

    init() throws(VarveError) { pipe = try VarveFiles.Pipe() }

    var descriptor: Int32 { pipe.reading.descriptor }

    /// A few bytes always have room: a second signal is no reason to wait.
    func write() {
        let code = errno
        var byte: UInt8 = 1
        _ = Glibc.write(pipe.writing.descriptor, &byte, 1)
        errno = code
    }
}

/// How far a long operation is.
package struct Progress: Sendable {
    /// What is being worked on now, a path or an object.
    package var item: String
    package var bytesDone: UInt64
    /// Nil while nobody knows.
    package var bytesTotal: UInt64?

    package init(item: String, bytesDone: UInt64, bytesTotal: UInt64?) {
        self.item = item
        self.bytesDone = bytesDone
        self.bytesTotal = bytesTotal
    }
}
