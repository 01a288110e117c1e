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

    static func writeEntry(_ writer: inout ByteWriter, _ entry: Entry) {
        writer.integer(entry.key.0.byteSwapped)
        writer.integer(entry.key.1.byteSwapped)
        writer.integer(entry.packed)
        writer.integer(entry.offset)
    }
}

/// Collects entries in memory and writes the table that `IndexTable` reads.
package struct IndexTableBuilder {
    private let repository: RepositoryID
    private var packs: [ContentID] = []
    private var packNumbers: [ContentID: UInt32] = [:]
    private var entries: [IndexTable.Entry] = []

    package init(repository: RepositoryID) { self.repository = repository }

    package var count: Int { entries.count }

    package mutating func add(_ id: ContentID, _ location: IndexTable.Location) {
        let sizeClass = UInt32(IndexTable.SizeClass.of(location.readLength))
        entries.append(
            IndexTable.Entry(
                key: id.prefix, packed: number(of: location.pack) | sizeClass << 24, offset: location.offset))
    }

    private mutating func number(of pack: ContentID) -> UInt32 {
        if let number = packNumbers[pack] { return number }
        let number = UInt32(packs.count)
        precondition(number < 1 << 24)
        packs.append(pack)
        packNumbers[pack] = number
        return number
    }

    package mutating func encoded() -> [UInt8] {
        entries.sort {
            ($0.key.0, $0.key.1, $0.packed & 0xFF_FFFF) < ($1.key.0, $1.key.1, $1.packed & 0xFF_FFFF)
        }
        // The same blob listed by two merged tables: one entry is enough.
        var kept: [IndexTable.Entry] = []
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
            IndexTable.writeEntry(&writer, entry)
        }
        return writer.bytes
    }

    private static func bucket(_ entry: IndexTable.Entry, _ bits: Int) -> Int {
        bits == 0 ? 0 : Int(entry.key.0 >> UInt64(64 - bits))
    }
}
