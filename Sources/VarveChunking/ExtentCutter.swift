import VarveFormat

/// Cuts a file that comes in writes at ascending offsets into extents at fixed offsets.
///
/// A page that is updated in place then changes one extent and moves none, and the extent of yesterday is found at
/// the same place. Gaps between writes are zeros.
package struct ExtentCutter {
    package let extentSize: Int
    /// Bytes of the file that were cut or lie in the extent being filled.
    package private(set) var position: UInt64 = 0

    /// - Parameters:
    ///   - preferredSize: a power of two.
    ///   - unit: the page size, a power of two; an extent never cuts a page.
    package init(preferredSize: UInt32, unit: UInt32) { extentSize = Int(max(preferredSize, unit)) }

    /// Where the next byte goes in the extent being filled.
    private var filled: Int { Int(position % UInt64(extentSize)) }

    /// Copies `bytes` into extents.
    ///
    /// - Parameters:
    ///   - buffer: the buffer of the extent being filled, `extentSize` bytes; asked for again after each `full`.
    ///   - full: takes over a whole extent.
    package mutating func write(
        _ bytes: UnsafeRawBufferPointer, at offset: UInt64,
        buffer: () throws(VarveError) -> UnsafeMutableRawBufferPointer,
        full: () throws(VarveError) -> Void
    ) throws(VarveError) {
        guard offset >= position else {
            throw VarveError(.invalid, "a write at \(offset) comes after one that reached \(position)")
        }
        try fillZeros(to: offset, buffer: buffer, full: full)
        var rest = bytes[...]
        while !rest.isEmpty {
            let room = try buffer()
            let count = min(rest.count, extentSize - filled)
            let target = UnsafeMutableRawBufferPointer(rebasing: room[filled..<filled + count])
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest.prefix(count)))
            rest = rest.dropFirst(count)
            try advance(count, full)
        }
    }

    /// Fills up to the file's size with zeros.
    ///
    /// - Returns: the length of the last, short extent in the current buffer; 0 if the file ends with a full one.
    package mutating func finish(
        size: UInt64, buffer: () throws(VarveError) -> UnsafeMutableRawBufferPointer,
        full: () throws(VarveError) -> Void
    ) throws(VarveError) -> Int {
        guard size >= position else {
            throw VarveError(.invalid, "a file of \(size) bytes was written up to \(position)")
        }
        try fillZeros(to: size, buffer: buffer, full: full)
        return filled
    }

    private mutating func fillZeros(
        to offset: UInt64, buffer: () throws(VarveError) -> UnsafeMutableRawBufferPointer,
        full: () throws(VarveError) -> Void
    ) throws(VarveError) {
        while position < offset {
            let room = try buffer()
            let count = Int(min(UInt64(extentSize - filled), offset - position))
            UnsafeMutableRawBufferPointer(rebasing: room[filled..<filled + count]).initializeMemory(
                as: UInt8.self, repeating: 0)
            try advance(count, full)
        }
    }

    private mutating func advance(_ count: Int, _ full: () throws(VarveError) -> Void) throws(VarveError) {
        position += UInt64(count)
        if filled == 0 { try full() }
    }
}
