/// A node of a file's extent map: ids by position.
///
/// Level 0 lists the ids of the extents (`data` blobs), level n+1 the ids of nodes of level n (`map` blobs), at most
/// 256 each. A change touches one path of the tree; what did not change is shared with earlier snapshots.
package struct ExtentMapNode: Hashable, Sendable {
    package static let magic = Array("VMAP".utf8)
    package static let version: UInt8 = 1
    package static let fanOut = 256
    /// 256^5 extents of 512 bytes and more: beyond any file.
    package static let maximumLevel = 4
    package static let headerLength = 24
    /// Encoded, with all its children.
    package static let maximumLength = headerLength + fanOut * ContentID.byteCount

    package var level: Int
    /// Bytes in an extent; only the last one of the file may be shorter.
    package var extentSize: UInt32
    /// Bytes of the file beneath this node.
    package var length: UInt64
    /// `.zero` for what is all zeros: nothing is stored for it.
    package var children: [ContentID]

    package init(level: Int, extentSize: UInt32, length: UInt64, children: [ContentID]) {
        self.level = level
        self.extentSize = extentSize
        self.length = length
        self.children = children
    }

    /// Bytes of the file beneath one full child.
    package var childSpan: UInt64 { Self.span(level: level, extentSize: extentSize) }

    package static func span(level: Int, extentSize: UInt32) -> UInt64 {
        UInt64(extentSize) << UInt64(8 * level)
    }

    /// Bytes of the file beneath the child at `index`.
    package func childLength(_ index: Int) -> UInt64 {
        min(childSpan, length - UInt64(index) * childSpan)
    }

    package var encoded: [UInt8] {
        var writer = ByteWriter(capacity: Self.headerLength + children.count * ContentID.byteCount)
        writer.raw(Self.magic)
        writer.integer(Self.version)
        writer.integer(UInt8(level))
        writer.zeros(2)
        writer.integer(extentSize)
        writer.integer(UInt32(children.count))
        writer.integer(length)
        for child in children { writer.id(child) }
        return writer.bytes
    }

    package init(_ bytes: UnsafeRawBufferPointer) throws(VarveError) {
        var reader = ByteReader(bytes, what: "the extent map")
        try reader.expect(Self.magic)
        let version: UInt8 = try reader.integer()
        guard version == Self.version else {
            throw VarveError(
                .unsupported, "the extent map has version \(version); this varve reads \(Self.version)")
        }
        level = Int(try reader.integer(UInt8.self))
        try reader.expectZero(2)
        extentSize = try reader.integer()
        let count = Int(try reader.integer(UInt32.self))
        length = try reader.integer()
        guard level <= Self.maximumLevel, extentSize > 0, extentSize <= Pack.maximumBlobLength,
            (1...Self.fanOut).contains(count), count * ContentID.byteCount == reader.remaining
        else { throw VarveError(.corrupt, "the extent map has impossible lengths") }
        let span = Self.span(level: level, extentSize: extentSize)
        // Divided, not multiplied: 256 entries of level 4 with the largest extents are 2^64 bytes.
        guard length > 0, (length - 1) / span == UInt64(count - 1) else {
            throw VarveError(
                .corrupt, "the extent map covers \(length) bytes with \(count) entries of \(span)")
        }
        children = []
        children.reserveCapacity(count)
        for _ in 0..<count { children.append(try reader.id()) }
    }
}
