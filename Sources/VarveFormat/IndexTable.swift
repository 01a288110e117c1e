/// An index object: a sorted table from blob id to place, read where it lies (memory-mapped, never loaded).
///
/// 24 bytes an entry: 16 bytes of the id, the pack's number in this table's list, the offset of the blob's header,
/// and how much to read. The whole id stands in the blob header, so a lookup is confirmed when the blob is read.
public struct IndexTable: Sendable {
    public static let magic = Array("VARVEIDX".utf8)
    public static let version: UInt16 = 1
    public static let headerLength = 64
    public static let entryLength = 24

    /// Where a blob lies.
    public struct Location: Hashable, Sendable {
        public var pack: ContentID
        public var offset: UInt32
        /// Bytes to read from `offset` to have header and payload; up to 1/16 more than they are.
        public var readLength: Int

        public init(pack: ContentID, offset: UInt32, readLength: Int) {
            self.pack = pack
            self.offset = offset
            self.readLength = readLength
        }
    }

    // The memory belongs to whoever made the table and must outlive it (`MappedFile` is kept beside it).
    nonisolated(unsafe) private let packs: UnsafeRawBufferPointer
    nonisolated(unsafe) private let fanOut: UnsafeRawBufferPointer
    nonisolated(unsafe) private let entries: UnsafeRawBufferPointer
    public let repository: RepositoryID
    public let count: Int
    public let packCount: Int
    private let fanOutBits: Int

    /// Checks the header and the bounds of the parts; the entries are checked as they are used, so that opening
    /// costs the same for any size.
    public init(_ bytes: UnsafeRawBufferPointer) throws {
        var reader = ByteReader(bytes, what: "the index")
        try reader.expect(Self.magic)
        let version: UInt16 = try reader.integer()
        guard version == Self.version else {
            throw VarveError(
                .unsupported, "the index has version \(version); this varve reads \(Self.version)")
        }
        fanOutBits = Int(try reader.integer(UInt16.self))
        packCount = Int(try reader.integer(UInt32.self))
        let count: UInt64 = try reader.integer()
        repository = RepositoryID(try reader.take(RepositoryID.byteCount))
        try reader.expectZero(24)
        guard fanOutBits <= 24, packCount <= 1 << 24, count <= UInt64(UInt32.max) else {
            throw VarveError(.corrupt, "the index has impossible lengths")
        }
        self.count = Int(count)
        packs = try reader.take(packCount * ContentID.byteCount)
        fanOut = try reader.take(((1 << fanOutBits) + 1) * 4)
        entries = try reader.take(self.count * Self.entryLength)
        try reader.expectEnd()
    }

    public func pack(_ number: Int) -> ContentID {
        let start = number * ContentID.byteCount
        return ContentID(UnsafeRawBufferPointer(rebasing: packs[start..<start + ContentID.byteCount]))
    }

    /// The first entry for the id, or nil. A damaged table gives nil or a place where the blob is not; it never
    /// reads beyond itself.
    public func find(_ id: ContentID) -> Location? {
        let key = id.prefix
        let bucket = fanOutBits == 0 ? 0 : Int(key.0 >> UInt64(64 - fanOutBits))
        var low = min(start(ofBucket: bucket), count)
        var high = min(start(ofBucket: bucket + 1), count)
        while low < high {
            let middle = low + (high - low) / 2
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        guard low < count, self.key(low) == key else { return nil }
        return location(low)
    }

    /// The place that entry `index` tells; nil if the entry is damaged.
    public func location(_ index: Int) -> Location? {
        guard let number = packNumber(index) else { return nil }
        let raw = raw(index)
        return Location(
            pack: pack(number), offset: raw.offset, readLength: SizeClass.length(UInt8(raw.packed >> 24)))
    }

    /// The number, in this table's list, of the pack that entry `index` names; nil if there is no such pack.
    func packNumber(_ index: Int) -> Int? {
        let number = Int(raw(index).packed & 0xFF_FFFF)
        return number < packCount ? number : nil
    }

    /// Size class and pack number, and offset, as they are stored.
    func raw(_ index: Int) -> (packed: UInt32, offset: UInt32) {
        let at = index * Self.entryLength
        return (
            UInt32(littleEndian: entries.loadUnaligned(fromByteOffset: at + 16, as: UInt32.self)),
            UInt32(littleEndian: entries.loadUnaligned(fromByteOffset: at + 20, as: UInt32.self))
        )
    }

    /// The first 16 bytes of entry `index`'s id, as `ContentID.prefix` gives them.
    public func key(_ index: Int) -> (UInt64, UInt64) {
        let at = index * Self.entryLength
        return (
            UInt64(bigEndian: entries.loadUnaligned(fromByteOffset: at, as: UInt64.self)),
            UInt64(bigEndian: entries.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self))
        )
    }

    private func start(ofBucket bucket: Int) -> Int {
        Int(UInt32(littleEndian: fanOut.loadUnaligned(fromByteOffset: bucket * 4, as: UInt32.self)))
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

extension IndexTable {
    /// So that a bucket holds 16 to 32 entries, as far as ids are spread evenly.
    static func fanOutBits(forCount count: Int) -> Int {
        var bits = 0
        while count >> bits > 32 && bits < 24 { bits += 1 }
        return bits
    }

    static func writeHeader(
        _ writer: inout ByteWriter, bits: Int, packs: Int, count: Int, repository: RepositoryID
    ) {
        writer.raw(magic)
        writer.integer(version)
        writer.integer(UInt16(bits))
        writer.integer(UInt32(packs))
        writer.integer(UInt64(count))
        writer.raw(repository.bytes)
        writer.zeros(24)
    }

    static func writeEntry(_ writer: inout ByteWriter, key: (UInt64, UInt64), packed: UInt32, offset: UInt32)
    {
        writer.integer(key.0.byteSwapped)
        writer.integer(key.1.byteSwapped)
        writer.integer(packed)
        writer.integer(offset)
    }
}

/// Collects entries in memory and writes the table that `IndexTable` reads.
public struct IndexTableBuilder {
    struct Entry {
        var key: (UInt64, UInt64)
        var packed: UInt32
        var offset: UInt32
    }

    private let repository: RepositoryID
    private var packs: [ContentID] = []
    private var packNumbers: [ContentID: UInt32] = [:]
    private var entries: [Entry] = []

    public init(repository: RepositoryID) { self.repository = repository }

    public var count: Int { entries.count }

    public mutating func add(_ id: ContentID, _ location: IndexTable.Location) { add(id.prefix, location) }

    private mutating func add(_ key: (UInt64, UInt64), _ location: IndexTable.Location) {
        let sizeClass = UInt32(IndexTable.SizeClass.of(location.readLength))
        entries.append(
            Entry(key: key, packed: number(of: location.pack) | sizeClass << 24, offset: location.offset))
    }

    private mutating func number(of pack: ContentID) -> UInt32 {
        if let number = packNumbers[pack] { return number }
        let number = UInt32(packs.count)
        precondition(number < 1 << 24)
        packs.append(pack)
        packNumbers[pack] = number
        return number
    }

    public mutating func encoded() -> [UInt8] {
        entries.sort {
            ($0.key.0, $0.key.1, $0.packed & 0xFF_FFFF) < ($1.key.0, $1.key.1, $1.packed & 0xFF_FFFF)
        }
        // The same blob listed by two merged tables: one entry is enough.
        var kept: [Entry] = []
        kept.reserveCapacity(entries.count)
        for entry in entries where kept.last.map({ $0.key != entry.key }) ?? true { kept.append(entry) }
        let bits = IndexTable.fanOutBits(forCount: kept.count)
        var writer = ByteWriter(capacity: IndexTable.headerLength + kept.count * (IndexTable.entryLength + 1))
        IndexTable.writeHeader(
            &writer, bits: bits, packs: packs.count, count: kept.count, repository: repository)
        for pack in packs { writer.id(pack) }
        var next = 0
        for bucket in 0...(1 << bits) {
            while next < kept.count, bucket == 1 << bits || Self.bucket(kept[next], bits) < bucket {
                next += 1
            }
            writer.integer(UInt32(next))
        }
        for entry in kept {
            IndexTable.writeEntry(&writer, key: entry.key, packed: entry.packed, offset: entry.offset)
        }
        return writer.bytes
    }

    private static func bucket(_ entry: Entry, _ bits: Int) -> Int {
        bits == 0 ? 0 : Int(entry.key.0 >> UInt64(64 - bits))
    }
}
