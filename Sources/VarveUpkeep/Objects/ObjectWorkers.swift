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

    /// The one loop over objects: each thread takes the next of `groups` until none is left, so what was interrupted has
    /// done a beginning. Whether it was, the caller asks.
    ///
    /// - Throws: the first error, which ends the work.
    static func forEach<Group: Sendable, Failure: Error>(
        _ groups: [Group], threads: Int, _ cancellation: Cancellation,
        _ body: @escaping @Sendable (Group) throws(Failure) -> Void
    ) throws(Failure) {
        let failure = Monitor<Failure?>(nil)
        let next = Tally()
        WorkerThread.sideBySide(min(threads, groups.count)) {
            while !cancellation.isRequested, failure.change({ $0 == nil }) {
                let number = Int(next.add(1)) - 1
                guard number < groups.count else { return }
                do throws(Failure) {
                    try body(groups[number])
                } catch {
                    failure.change { if $0 == nil { $0 = error } }
                }
            }
        }
        if let error = failure.change({ $0 }) { throw error }
    }

    /// - Parameter limit: objects in a group; fewer if there would not be a group for each thread.
    /// - Throws: the first error, which ends the work; `.interrupted` if it was cancelled.
    package static func forEachGroup(
        _ objects: [ObjectName], limit: Int, threads: Int, _ cancellation: Cancellation,
        _ body: @escaping @Sendable ([ObjectName]) throws(VarveError) -> Void
    ) throws(VarveError) {
        guard !objects.isEmpty else { return }
        let size = min(limit, (objects.count + threads - 1) / threads)
        let groups = stride(from: 0, to: objects.count, by: size).map {
            Array(objects[$0..<min($0 + size, objects.count)])
        }
        try forEach(groups, threads: threads, cancellation, body)
        if cancellation.isRequested { throw interrupted }
    }
}

/// What several threads add up.
package final class Tally: Sendable {
    private let value = Atomic<UInt64>(0)

    package init() {}

    /// - Returns: the sum with it.
    package func add(_ count: UInt64) -> UInt64 {
        value.wrappingAdd(count, ordering: .relaxed).newValue
    }
}
