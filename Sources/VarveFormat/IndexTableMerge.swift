/// Several index tables as one, written front to back in bounded memory however many entries they have.
public struct IndexTableMerge {
    /// One table, read from its first entry to its last.
    private struct Cursor {
        let table: IndexTable
        /// By the table's own pack numbers: the merged table's number, nil for a pack that is gone.
        let packs: [UInt32?]
        var next = 0

        /// Goes to the first entry, from `next` on, that is to be kept.
        mutating func settle() {
            while next < table.count {
                if let number = table.packNumber(next), packs[number] != nil { return }
                next += 1
            }
        }
    }

    private let repository: RepositoryID
    private var packs: [ContentID] = []
    private var cursors: [Cursor] = []
    private let bits: Int

    /// - Parameters:
    ///   - tables: where two have the same blob, the place in the earlier one is kept.
    ///   - isThere: tells the packs whose entries are kept.
    public init(_ tables: [IndexTable], repository: RepositoryID, where isThere: (ContentID) -> Bool) {
        self.repository = repository
        var numbers: [ContentID: UInt32] = [:]
        for table in tables {
            var own: [UInt32?] = []
            for index in 0..<table.packCount {
                let pack = table.pack(index)
                guard isThere(pack) else {
                    own.append(nil)
                    continue
                }
                let number = numbers[pack] ?? UInt32(packs.count)
                if number == packs.count {
                    precondition(packs.count < 1 << 24, "an index table lists at most 2^24 packs")
                    packs.append(pack)
                    numbers[pack] = number
                }
                own.append(number)
            }
            cursors.append(Cursor(table: table, packs: own))
        }
        bits = IndexTable.fanOutBits(forCount: tables.reduce(0) { $0 + $1.count })
    }

    /// Emits the table's bytes in order; the same bytes at each call.
    public func write(_ emit: (UnsafeRawBufferPointer) throws -> Void) throws {
        var fanOut = [UInt32](repeating: 0, count: (1 << bits) + 1)
        var count = 0
        try forEach { key, _, _ in
            count += 1
            fanOut[(bits == 0 ? 0 : Int(key.0 >> UInt64(64 - bits))) + 1] += 1
        }
        for bucket in 1..<fanOut.count { fanOut[bucket] += fanOut[bucket - 1] }

        var writer = ByteWriter(capacity: 1 << 16)
        func flush(ifOver limit: Int) throws {
            guard writer.bytes.count > limit else { return }
            try writer.bytes.withUnsafeBytes { try emit($0) }
            writer.removeAll()
        }
        IndexTable.writeHeader(&writer, bits: bits, packs: packs.count, count: count, repository: repository)
        for pack in packs {
            writer.id(pack)
            try flush(ifOver: 60_000)
        }
        for start in fanOut {
            writer.integer(start)
            try flush(ifOver: 60_000)
        }
        try forEach { key, packed, offset in
            IndexTable.writeEntry(&writer, key: key, packed: packed, offset: offset)
            try flush(ifOver: 60_000)
        }
        try flush(ifOver: 0)
    }

    /// Every kept entry once, by ascending key.
    private func forEach(_ body: ((UInt64, UInt64), UInt32, UInt32) throws -> Void) throws {
        var cursors = cursors
        for index in cursors.indices { cursors[index].settle() }
        var last: (UInt64, UInt64)?
        while true {
            var best: (cursor: Int, key: (UInt64, UInt64))?
            for (index, cursor) in cursors.enumerated() where cursor.next < cursor.table.count {
                let key = cursor.table.key(cursor.next)
                if let smallest = best?.key, smallest <= key { continue }
                best = (index, key)
            }
            guard let (index, key) = best else { return }
            let cursor = cursors[index]
            cursors[index].next += 1
            cursors[index].settle()
            if let last, last == key { continue }
            last = key
            guard let own = cursor.table.packNumber(cursor.next), let number = cursor.packs[own] else {
                continue
            }
            let raw = cursor.table.raw(cursor.next)
            try body(key, raw.packed & 0xFF00_0000 | number, raw.offset)
        }
    }
}
