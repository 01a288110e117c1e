/// An index object: a sorted table from blob id to place, read where it lies, never loaded.
///
/// 24 bytes an entry: 16 bytes of the id, the pack's number in this table's list, the offset of the blob's header,
/// and how much to read. The whole id stands in the blob header, so a lookup is confirmed when the blob is read.
package struct IndexTable: Sendable {
    package static let magic = Array("VARVEIDX".utf8)
    package static let version: UInt16 = 1
    package static let headerLength = 64
    package static let entryLength = 24

    /// Where a blob lies.
    package struct Location: Hashable, Sendable {
        package var pack: ContentID
        package var offset: UInt32
        /// Bytes to read from `offset` to have header and payload; up to 1/16 more than they are.
        package var readLength: Int

        package init(pack: ContentID, offset: UInt32, readLength: Int) {
            self.pack = pack
            self.offset = offset
            self.readLength = readLength
        }
    }

    /// An entry as it is stored.
    package struct Entry: Sendable {
        /// The first 16 bytes of the id, as `ContentID.prefix` gives them.
        package var key: (UInt64, UInt64)
        /// Size class in the highest byte, pack number below it.
        var packed: UInt32
        package var offset: UInt32

        /// In the list of its table; not checked against how many packs there are.
        package var packNumber: Int { Int(packed & 0xFF_FFFF) }
        package var readLength: Int { SizeClass.length(UInt8(packed >> 24)) }

        init(key: (UInt64, UInt64), packed: UInt32, offset: UInt32) {
            self.key = key
            self.packed = packed
            self.offset = offset
        }

        init(_ bytes: UnsafeRawBufferPointer, at: Int) {
            key = (
                bytes.bigEndian(at: at, as: UInt64.self),
                bytes.bigEndian(at: at + 8, as: UInt64.self)
            )
            packed = bytes.littleEndian(at: at + 16, as: UInt32.self)
            offset = bytes.littleEndian(at: at + 20, as: UInt32.self)
        }
    }

    private let source: any ByteSource
    package let repository: RepositoryID
    package let count: Int
    package let packCount: Int
    private let fanOutBits: Int
    private let fanOutStart: Int
    /// Where the packs and the fan-out end.
    package let entriesStart: Int

    /// Reads the header and checks the bounds of the parts; entries are checked as they are used, so that opening
    /// costs the same for any size.
    package init(_ source: some ByteSource) throws(VarveError) {
        self.source = source
        let headerLength = min(Self.headerLength, source.byteCount)
        (fanOutBits, packCount, count, repository) = try source.withBytes(at: 0, count: headerLength) {
            (bytes) throws(VarveError) in
            try Self.header(bytes)
        }
        fanOutStart = Self.headerLength + packCount * ContentID.byteCount
        entriesStart = fanOutStart + ((1 << fanOutBits) + 1) * 4
        let length = entriesStart + count * Self.entryLength
        guard source.byteCount == length else {
            throw VarveError(.corrupt, "the index has \(source.byteCount) bytes where \(length) should be")
        }
    }

    private static func header(
        _ bytes: UnsafeRawBufferPointer
    ) throws(VarveError) -> (bits: Int, packs: Int, count: Int, repository: RepositoryID) {
        var reader = ByteReader(bytes, what: "the index")
        try reader.expect(magic)
        let version: UInt16 = try reader.integer()
        guard version == Self.version else {
            throw VarveError(
                .unsupported, "the index has version \(version); this varve reads \(Self.version)")
        }
        let bits: UInt16 = try reader.integer()
        let packs: UInt32 = try reader.integer()
        let count: UInt64 = try reader.integer()
        let repository = RepositoryID(try reader.take(RepositoryID.byteCount))
        try reader.expectZero(24)
        guard bits <= 24, packs <= 1 << 24, count <= UInt64(UInt32.max) else {
            throw VarveError(.corrupt, "the index has impossible lengths")
        }
        return (Int(bits), Int(packs), Int(count), repository)
    }

    /// - Precondition: `number` is below `packCount`.
    package func pack(_ number: Int) throws(VarveError) -> ContentID {
        precondition(number < packCount)
        return try source.id(at: Self.headerLength + number * ContentID.byteCount)
    }

    /// The packs in the order of their numbers, read in pieces.
    package func forEachPack(_ body: (ContentID) throws(VarveError) -> Void) throws(VarveError) {
        let batch = 2048
        for first in stride(from: 0, to: packCount, by: batch) {
            let length = min(batch, packCount - first) * ContentID.byteCount
            try source.withBytes(at: Self.headerLength + first * ContentID.byteCount, count: length) {
                (bytes) throws(VarveError) in
                for at in stride(from: 0, to: length, by: ContentID.byteCount) {
                    try body(
                        ContentID(UnsafeRawBufferPointer(rebasing: bytes[at..<at + ContentID.byteCount])))
                }
            }
        }
    }

    /// The first entry for the id, or nil: one read in the fan-out, and one of the entries that it points to.
    ///
    /// A damaged table gives nil, an entry that leads nowhere, or throws; it never reads beyond itself.
    package func find(_ id: ContentID) throws(VarveError) -> Entry? {
        let key = id.prefix
        let bucket = fanOutBits == 0 ? 0 : Int(key.0 >> UInt64(64 - fanOutBits))
        var (low, high) = try source.withBytes(at: fanOutStart + bucket * 4, count: 8) { bytes in
            (
                min(Int(bytes.littleEndian(at: 0, as: UInt32.self)), count),
                min(Int(bytes.littleEndian(at: 4, as: UInt32.self)), count)
            )
        }
        // A bucket holds 32 on average; only tables beyond 2^29 entries, and damaged ones, have larger ones.
        while high - low > 128 {
            let middle = low + (high - low) / 2
            if try entry(middle).key < key { low = middle + 1 } else { high = middle + 1 }
        }
        guard low < high else { return nil }
        return try source.withBytes(
            at: entriesStart + low * Self.entryLength, count: (high - low) * Self.entryLength
        ) { bytes in
            var (low, high) = (0, high - low)
            let end = high
            while low < high {
                let middle = low + (high - low) / 2
                if Entry(bytes, at: middle * Self.entryLength).key < key {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            guard low < end else { return nil }
            let entry = Entry(bytes, at: low * Self.entryLength)
            return entry.key == key ? entry : nil
        }
    }

    /// The place that an entry tells; nil if it is damaged.
    package func location(_ entry: Entry) throws(VarveError) -> Location? {
        guard entry.packNumber < packCount else { return nil }
        return Location(
            pack: try pack(entry.packNumber), offset: entry.offset, readLength: entry.readLength)
    }

    /// - Precondition: `index` is below `count`.
    package func entry(_ index: Int) throws(VarveError) -> Entry {
        precondition(index < count)
        return try source.withBytes(at: entriesStart + index * Self.entryLength, count: Self.entryLength) {
            Entry($0, at: 0)
        }
    }

    /// Every entry from the first to the last, in bounded memory.
    package func entries() -> Cursor { Cursor(source, start: entriesStart, count: count) }

    /// A walk through the entries, many to a read.
    package final class Cursor {
        private static let capacity = 2730 * IndexTable.entryLength
        private let source: any ByteSource
        private let buffer: UnsafeMutableRawBufferPointer
        private var at = 0
        private var end = 0
        /// Of the next read, and what it may not go beyond.
        private var offset: Int
        private let limit: Int

        fileprivate init(_ source: any ByteSource, start: Int, count: Int) {
            self.source = source
            let length = count * IndexTable.entryLength
            buffer = .allocate(byteCount: max(1, min(Self.capacity, length)), alignment: 8)
            offset = start
            limit = start + length
        }

        deinit { buffer.deallocate() }

        package func next() throws(VarveError) -> Entry? {
            if at == end {
                end = min(buffer.count, limit - offset)
                at = 0
                guard end > 0 else { return nil }
                try source.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<end]))
                offset += end
            }
            defer { at += IndexTable.entryLength }
            return Entry(UnsafeRawBufferPointer(buffer), at: at)
        }
    }

    /// Lengths in one byte: a 4-bit mantissa and an exponent, in units of 64 bytes, rounded up.
    enum SizeClass {
        static func of(_ length: Int) -> UInt8 {
            let units = (length + 63) / 64
            if units <= 16 { return 0 }
            var exponent = 0
            while (units + (1 << exponent) - 1) >> exponent > 31 { exponent += 1 }
            return UInt8(exponent << 4 | ((units + (1 << exponent) - 1) >> exponent - 16))
        }

        static func length(_ value: UInt8) -> Int { (16 + Int(value & 15)) << Int(value >> 4) * 64 }
    }
}
