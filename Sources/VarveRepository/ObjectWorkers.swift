import Synchronization
import VarveFiles
import VarveFormat
import VarveStorage

/// The same work for many objects, several at once: one is hashed while the disk makes another durable.
enum ObjectWorkers {
    /// More than processors: most of the time they wait for `fsync`, and a journal commits for all of them at once.
    private static let threads = 6

    private final class Counter: Sendable {
        private let value = Atomic<Int>(0)
        func next() -> Int { value.wrappingAdd(1, ordering: .relaxed).oldValue }
    }

    /// - Throws: the first error, which ends the work; `.interrupted` if it was cancelled.
    static func forEach(
        _ objects: [ObjectName], _ isCancelled: @escaping @Sendable () -> Bool,
        _ body: @escaping @Sendable (ObjectName) throws -> Void
    ) throws {
        let failure = Monitor<(any Error)?>(nil)
        let counter = Counter()
        let threads = (0..<threads).map { _ in
            WorkerThread {
                while !isCancelled(), failure.change({ $0 == nil }) {
                    let number = counter.next()
                    guard number < objects.count else { return }
                    do {
                        try body(objects[number])
                    } catch {
                        failure.change { if $0 == nil { $0 = error } }
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        if let error = failure.change({ $0 }) { throw error }
        if isCancelled() {
            throw VarveError(.interrupted, "interrupted; the same command goes on where it stopped")
        }
    }
}
