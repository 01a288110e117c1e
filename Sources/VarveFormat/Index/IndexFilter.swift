/// Tells most ids that a table does not hold from 64 bytes, so that a new blob rarely costs a look into the table.
///
/// A Bloom filter in blocks of one cache line (Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom
/// Filters", 2007): 480 bits and a checksum. Blocks follow the order of ids, so the filter is written front to back
/// while the table is read front to back, in no memory; a binary fuse filter would be a third smaller and needs all
/// keys at once. Of absent ids 1.1 % pass, at 10 bits an entry.
package struct IndexFilter: Sendable {
    package static let magic = Array("VARVEFLT".utf8)
    package static let version: UInt16 = 1
    package static let headerLength = 64
    package static let blockLength = 64
    static let bitsPerBlock: UInt64 = 480
    static let entriesPerBlock = 48
    static let probes = 6

    private let source: any ByteSource
    /// The name of the table that this is about.
    package let table: ContentID
    package let blockCount: Int

    /// Reads and checks the header; a block is checked when it is used.
    package init(_ source: some ByteSource) throws(VarveError) {
        self.source = source
        let headerLength = min(Self.headerLength, source.byteCount)
        (table, blockCount) = try source.withBytes(at: 0, count: headerLength) { (bytes) throws(VarveError) in
            var reader = ByteReader(bytes, what: "the index filter")
            try reader.expect(Self.magic)
            let version: UInt16 = try reader.integer()
            guard version == Self.version else {
                throw VarveError(
                    .unsupported, "the index filter has version \(version); this varve reads \(Self.version)")
            }
            try reader.expectZero(2)
            let blocks: UInt32 = try reader.integer()
            let table = try reader.id()
            try reader.expectZero(12)
            let checked = UnsafeRawBufferPointer(rebasing: bytes[..<reader.offset])
            guard try reader.integer() == CRC32C.of(checked), blocks > 0 else {
                throw VarveError(.corrupt, "the header of the index filter fails its checksum")
            }
            return (table, Int(blocks))
        }
        guard source.byteCount == Self.headerLength + blockCount * Self.blockLength else {
            throw VarveError(.corrupt, "the index filter has \(source.byteCount) bytes, which no filter has")
        }
    }

    /// False only if the table does not hold the id. One read.
    ///
    /// - Throws: `.corrupt` if the block that would tell is damaged: then it tells nothing.
    package func mayContain(_ id: ContentID) throws(VarveError) -> Bool {
        let key = id.prefix
        let offset = Self.headerLength + Self.block(of: key, blockCount) * Self.blockLength
        return try source.withBytes(at: offset, count: Self.blockLength) { (block) throws(VarveError) in
            let bits = UnsafeRawBufferPointer(rebasing: block[..<(Self.blockLength - 4)])
            let sum = block.littleEndian(at: bits.count, as: UInt32.self)
            guard CRC32C.of(bits) == sum else {
                throw VarveError(.corrupt, "a block of the index filter fails its checksum")
            }
            return (0..<Self.probes).allSatisfy { probe in
                let bit = Self.bit(of: key, probe)
                return bits[bit >> 3] & 1 << UInt8(bit & 7) != 0
            }
        }
    }

    /// Ids are hashes: their first half chooses the block, and the second half the bits in it.
    private static func block(of key: (UInt64, UInt64), _ count: Int) -> Int {
        Int(key.0.multipliedFullWidth(by: UInt64(count)).high)
    }

    private static func bit(of key: (UInt64, UInt64), _ probe: Int) -> Int {
        Int(((key.1 >> UInt64(10 * probe) & 1023) * bitsPerBlock) >> 10)
    }

    /// Emits the filter of a table, in order; the same bytes at each call.
    ///
    /// - Parameter name: the table's.
    /// - Throws: `.corrupt` if the table's entries are out of order.
    package static func write(
        of table: IndexTable, name: ContentID, _ emit: (UnsafeRawBufferPointer) throws(VarveError) -> Void
    ) throws(VarveError) {
        let blocks = max(1, (table.count + entriesPerBlock - 1) / entriesPerBlock)
        var writer = ByteWriter(capacity: 1 << 16)
        writeHeader(&writer, blocks: blocks, table: name)
        var bits = [UInt8](repeating: 0, count: blockLength - 4)
        var current = 0
        func endBlock() throws(VarveError) {
            writer.raw(bits)
            writer.integer(bits.withUnsafeBytes { CRC32C.of($0) })
            if writer.bytes.count > 60_000 {
                try writer.bytes.withBytes(emit)
                writer.removeAll()
            }
            for index in bits.indices { bits[index] = 0 }
            current += 1
        }
        let cursor = table.entries()
        while let entry = try cursor.next() {
            let block = block(of: entry.key, blocks)
            guard block >= current else {
                throw VarveError(.corrupt, "the index has entries out of order")
            }
            while current < block { try endBlock() }
            for probe in 0..<probes {
                let bit = bit(of: entry.key, probe)
                bits[bit >> 3] |= 1 << UInt8(bit & 7)
            }
        }
        while current < blocks { try endBlock() }
        try writer.bytes.withBytes(emit)
    }

    private static func writeHeader(_ writer: inout ByteWriter, blocks: Int, table: ContentID) {
        writer.raw(magic)
        writer.integer(version)
        writer.zeros(2)
        writer.integer(UInt32(blocks))
        writer.id(table)
        writer.zeros(12)
        writer.integer(writer.bytes.withUnsafeBytes { CRC32C.of($0) })
    }
}
