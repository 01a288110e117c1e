/// Which of libdb's backup callbacks bring the pages of the place that they name.
///
/// After a short read `__memp_backup_mpf` (libdb 5.3.28, `mp_backup.c:204-220`) leaves out a page, and counts its
/// offset on as if it had not: where the file has grown meanwhile, everything later in that loop is a page or more
/// too low, and the call returns 0. Those pages are new since the last checkpoint, so the logs have them: what comes
/// after a callback that was shorter than a full buffer is dropped.
///
/// A heap is copied region by region, each in a loop of its own whose last callback is short by rights
/// (`heap_backup.c:56`): there the rule begins anew with each region.
package struct ShiftedPageRule: Sendable {
    private let bufferSize: Int
    /// End of the last callback's bytes, dropped or not.
    private var end: UInt64 = 0
    /// A callback of this loop brought less than a full buffer.
    private var wasShort = false
    private var heap: HeapHeader?

    /// - Parameter bufferSize: what a full callback brings.
    package init(bufferSize: Int) { self.bufferSize = bufferSize }

    /// Whether these bytes belong to `offset`. To be asked for every callback of a file, in order, the first of
    /// which is at 0.
    package mutating func accepts(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Bool {
        if offset == 0 { heap = HeapHeader(firstPage: bytes) }
        if wasShort && startsRegion(bytes, offset) { wasShort = false }
        end = offset + UInt64(bytes.count)
        if wasShort { return false }
        wasShort = bytes.count < bufferSize
        return true
    }

    /// A region begins beyond a gap, or, where the one before was full, right at its end: then its first page must
    /// carry the number of its place, which a shifted page does not.
    private func startsRegion(_ bytes: UnsafeRawBufferPointer, _ offset: UInt64) -> Bool {
        guard let heap else { return false }
        return offset != end || heap.isPage(bytes, at: offset)
    }
}

/// What page 0 of a heap says, in either byte order: `DBMETA`, magic at 12, page size at 20 (`db_page.h:70`).
private struct HeapHeader {
    /// `DB_HEAPMAGIC`.
    private static let magic: UInt32 = 0x074582
    private let pageSize: UInt64
    private let isSwapped: Bool

    init?(firstPage: UnsafeRawBufferPointer) {
        guard firstPage.count >= 512 else { return nil }
        let magic = firstPage.integer(at: 12, as: UInt32.self)
        let size = firstPage.integer(at: 20, as: UInt32.self)
        guard magic == Self.magic || magic.byteSwapped == Self.magic else { return nil }
        isSwapped = magic != Self.magic
        pageSize = UInt64(isSwapped ? size.byteSwapped : size)
    }

    /// Whether the first page of `bytes` carries the number of its place (`PAGE.pgno` at 8).
    func isPage(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Bool {
        guard bytes.count >= 26, pageSize >= 512, offset % pageSize == 0 else { return false }
        let number = bytes.integer(at: 8, as: UInt32.self)
        return UInt64(isSwapped ? number.byteSwapped : number) == offset / pageSize
    }
}
