/// Bytes of one blob, in memory that is used again for the next: it grows and never shrinks.
///
/// A class, and not an array, so that several of them can be hashed at once where they lie. Used by one thread.
package final class BlobBuffer {
    private var storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    package private(set) var count = 0

    package init() {}

    deinit { storage.deallocate() }

    /// Valid until the next call of `resize`.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(mutableBytes) }

    package var mutableBytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: storage[..<count])
    }

    /// Keeps the bytes that both lengths have; what is new is not initialised.
    package func resize(to newCount: Int) {
        if newCount > storage.count {
            // 64 bytes: what the widest vector loads like best.
            let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: max(newCount, 4096), alignment: 64)
            larger.copyMemory(from: bytes)
            storage.deallocate()
            storage = larger
        }
        count = newCount
    }

    package func replace(with new: UnsafeRawBufferPointer) {
        resize(to: new.count)
        mutableBytes.copyMemory(from: new)
    }

    /// Adds at the end; for gathering scattered pieces.
    func append(_ more: UnsafeRawBufferPointer) {
        let end = count
        resize(to: end + more.count)
        UnsafeMutableRawBufferPointer(rebasing: mutableBytes[end...]).copyMemory(from: more)
    }
}
