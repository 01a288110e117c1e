import Synchronization
import VarveFiles
import VarveFormat
import VarveStorage

/// The same work for many objects, by several threads: one hashes while the disk makes durable what another has written.
package enum ObjectWorkers {
    /// One more than processors is never idle while others wait for `fsync`.
    package static var defaultThreads: Int { Host.workers + 1 }

    package static let interrupted = VarveError(
        .interrupted, "interrupted; the same command goes on where it stopped")

    private final class Counter: Sendable {
        private let value = Atomic<Int>(0)
        func next() -> Int { value.wrappingAdd(1, ordering: .relaxed).oldValue }
    }

    /// In order, so that what was interrupted has done a beginning.
    ///
    /// - Parameter limit: objects in a group; fewer if there would not be a group for each thread.
    /// - Throws: the first error, which ends the work; `.interrupted` if it was cancelled.
    package static func forEachGroup(
        _ objects: [ObjectName], limit: Int, threads: Int, _ isCancelled: @escaping @Sendable () -> Bool,
        _ body: @escaping @Sendable ([ObjectName]) throws -> Void
    ) throws {
        guard !objects.isEmpty else { return }
        let size = min(limit, (objects.count + threads - 1) / threads)
        let groups = stride(from: 0, to: objects.count, by: size).map {
            Array(objects[$0..<min($0 + size, objects.count)])
        }
        let failure = Monitor<(any Error)?>(nil)
        let counter = Counter()
        WorkerThread.sideBySide(min(threads, groups.count)) {
            while !isCancelled(), failure.change({ $0 == nil }) {
                let number = counter.next()
                guard number < groups.count else { return }
                do {
                    try body(groups[number])
                } catch {
                    failure.change { if $0 == nil { $0 = error } }
                }
            }
        }
        if let error = failure.change({ $0 }) { throw error }
        if isCancelled() { throw interrupted }
    }
}
