import Synchronization
import VarveFormat

/// Keeps the first bytes of a source once they were read: a table's packs and fan-out, to which every lookup comes
/// back. Pages come in as they are used; what is not used takes no memory.
final class CachedHead: ByteSource {
    private static let pageSize = 4096

    private struct Pages: ~Copyable {
        nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer
        var isRead: [Bool]

        init(length: Int) {
            memory = .allocate(byteCount: length, alignment: CachedHead.pageSize)
            isRead = Array(repeating: false, count: (length + CachedHead.pageSize - 1) / CachedHead.pageSize)
        }

        deinit { memory.deallocate() }
    }

    private let source: any ByteSource
    private let length: Int
    private let pages: Mutex<Pages>

    /// - Parameter length: of the part that is kept; at least one byte, and not more than the source has.
    init(_ source: some ByteSource, length: Int) {
        self.source = source
        self.length = length
        pages = Mutex(Pages(length: length))
    }

    var byteCount: Int { source.byteCount }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError) {
        guard offset >= 0, !buffer.isEmpty, buffer.count <= length, offset <= length - buffer.count else {
            return try source.read(at: offset, into: buffer)
        }
        // The caller's memory, used by nobody else and not kept.
        nonisolated(unsafe) let buffer = buffer
        try pages.withLock { (pages) throws(VarveError) in
            for page in offset / Self.pageSize...(offset + buffer.count - 1) / Self.pageSize
            where !pages.isRead[page] {
                let range = page * Self.pageSize..<min(length, (page + 1) * Self.pageSize)
                try source.read(
                    at: range.lowerBound,
                    into: UnsafeMutableRawBufferPointer(rebasing: pages.memory[range]))
                pages.isRead[page] = true
            }
            buffer.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: pages.memory[offset..<offset + buffer.count]))
        }
    }
}
