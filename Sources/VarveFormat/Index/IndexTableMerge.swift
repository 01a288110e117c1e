/// Several index tables as one, written front to back in bounded memory however many entries they have.
package struct IndexTableMerge {
    /// One table with its packs, by its own numbers: the merged table's number, nil for a pack that is gone.
    private struct Part {
        let table: IndexTable
        let packs: [UInt32?]
    }

    /// One table being read from its first entry to its last; `head` is its next entry that is kept, with the
    /// merged table's pack number in it.
    private struct Reading {
        let packs: [UInt32?]
        let cursor: IndexTable.Cursor
        var head: IndexTable.Entry?

        init(_ part: Part) throws(VarveError) {
            packs = part.packs
            cursor = part.table.entries()
            try advance()
        }

        mutating func advance() throws(VarveError) {
            while let entry = try cursor.next() {
                if entry.packNumber < packs.count, let number = packs[entry.packNumber] {
                    head = IndexTable.Entry(
                        key: entry.key, packed: entry.packed & 0xFF00_0000 | number, offset: entry.offset)
                    return
                }
            }
            head = nil
        }
    }

    private let repository: RepositoryID
    private var packs: [ContentID] = []
    private var parts: [Part] = []
    private let bits: Int

    /// - Parameters:
    ///   - tables: where two have the same blob, the place in the earlier one is kept.
    ///   - isThere: tells the packs whose entries are kept.
    /// - Throws: what `isThere` throws, or if a table can't be read.
    package init(
        _ tables: [IndexTable], repository: RepositoryID,
        where isThere: (ContentID) throws(VarveError) -> Bool
    ) throws(VarveError) {
        self.repository = repository
        bits = IndexTable.fanOutBits(forCount: tables.reduce(0) { $0 + $1.count })
        var numbers: [ContentID: UInt32] = [:]
        for table in tables {
            var own: [UInt32?] = []
            own.reserveCapacity(table.packCount)
            try table.forEachPack { (pack) throws(VarveError) in
                guard try isThere(pack) else { return own.append(nil) }
                let number = numbers[pack] ?? UInt32(packs.count)
                if number == packs.count {
                    precondition(packs.count < 1 << 24, "an index table lists at most 2^24 packs")
                    packs.append(pack)
                    numbers[pack] = number
                }
                own.append(number)
            }
            parts.append(Part(table: table, packs: own))
        }
    }

    /// Emits the table's bytes in order; the same bytes at each call.
    package func write(_ emit: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) {
        var fanOut = [UInt32](repeating: 0, count: (1 << bits) + 1)
        var count = 0
        try forEach { entry in
            count += 1
            fanOut[(bits == 0 ? 0 : Int(entry.key.0 >> UInt64(64 - bits))) + 1] += 1
        }
        for bucket in 1..<fanOut.count { fanOut[bucket] += fanOut[bucket - 1] }

        var writer = ByteWriter(capacity: 1 << 16)
        func flush(ifOver limit: Int) throws(VarveError) {
            guard writer.bytes.count > limit else { return }
            try writer.bytes.withBytes(emit)
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
        try forEach { (entry) throws(VarveError) in
            IndexTable.writeEntry(&writer, entry)
            try flush(ifOver: 60_000)
        }
        try flush(ifOver: 0)
    }

    /// Every kept entry once, by ascending key.
    private func forEach(_ body: (IndexTable.Entry) throws(VarveError) -> Void) throws(VarveError) {
        var readings = try parts.map { (part) throws(VarveError) in try Reading(part) }
        var last: (UInt64, UInt64)?
        while true {
            var best: (reading: Int, entry: IndexTable.Entry)?
            for index in readings.indices {
                guard let entry = readings[index].head else { continue }
                if let smallest = best?.entry.key, smallest <= entry.key { continue }
                best = (index, entry)
            }
            guard let (index, entry) = best else { return }
            try readings[index].advance()
            if let last, last == entry.key { continue }
            last = entry.key
            try body(entry)
        }
    }
}
