import VarveCodec
import VarveFormat

/// Compares decoded blobs with their ids, as many at once as the hash kernel takes. One per thread.
package final class IdentityChecker {
    private let slots = (0..<Hasher.batchSize).map { _ in BlobBuffer() }
    private var waiting: [(id: ContentID, fail: () -> Void)] = []
    private var type = BlobType.data

    package init() {}

    /// The buffer for the next blob; fill it, then call `add`. Not adding it is fine.
    package func slot(_ type: BlobType) -> BlobBuffer {
        if type != self.type { flush() }
        self.type = type
        return slots[waiting.count]
    }

    /// - Parameter fail: called, at the latest by `flush`, if the bytes in the slot are not what the id promises.
    package func add(_ id: ContentID, fail: @escaping () -> Void) {
        waiting.append((id, fail))
        if waiting.count == slots.count { flush() }
    }

    package func flush() {
        let due = waiting
        waiting = []
        var ids = due.map { _ in ContentID.zero }
        Hasher.ids(of: slots.prefix(due.count).map(\.bytes), type, into: &ids)
        for (blob, id) in zip(due, ids) where blob.id != id { blob.fail() }
    }
}
