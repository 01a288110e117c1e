import VarveCodec
import VarveFormat
import VarveStorage

extension RepositoryIndex {
    /// Turns what is unlisted into a table, together with the tables that are not much larger.
    func merge(_ state: inout State) throws(VarveError) {
        let merged = try tablesToMerge(&state)
        var builder = IndexTableBuilder(repository: repository)
        for (id, location) in state.unlisted { builder.add(id, location) }
        let recent = try IndexTable(BytesInMemory(builder.encoded()))
        let merge = try IndexTableMerge([recent] + merged.map(\.table), repository: repository) {
            (pack) throws(VarveError) in
            if state.unlistedPacks.contains(pack) { return true }
            return try storage.size(of: ObjectName(.pack, pack)) != nil
        }
        let table = isWriter ? try publish(merge) : try keep(merge)
        for old in merged where old.name != table.name {
            if let name = old.name { try storage.remove(ObjectName(.index, name)) }
        }
        state.tables.removeAll { table in merged.contains { $0 === table } }
        // Another run may have written the same one.
        state.tables.removeAll { $0.name != nil && $0.name == table.name }
        state.tables.append(table)
        state.sortTables()
        state.unlisted = [:]
        state.unlistedPacks = []
    }

    /// Those not much larger than what is merged into them, so that each entry is written O(log n) times.
    ///
    /// Merging a damaged table would give its damage a valid name: one that is not what its name promises is
    /// distrusted, and its packs are asked when something is missed.
    private func tablesToMerge(_ state: inout State) throws(VarveError) -> [StoredTable] {
        var merged: [StoredTable] = []
        var count = state.unlisted.count
        // Smallest first. A reader leaves alone what is stored.
        for table in state.tables.reversed() where isWriter || table.name == nil {
            if table.table.count > 2 * count { break }
            do {
                try table.requireIntact()
            } catch {
                state.distrust(table, error)
                continue
            }
            count += table.table.count
            merged.append(table)
        }
        return merged
    }

    private func publish(_ merge: IndexTableMerge) throws(VarveError) -> StoredTable {
        let object = try storage.publish(.index) { (append) throws(VarveError) in
            var hasher = Hasher()
            try merge.write { (bytes) throws(VarveError) in
                hasher.update(bytes)
                try append(bytes)
            }
            return hasher.finish().hex
        }
        guard let name = ContentID(hex: object.name) else { throw storage.missing(object) }
        return try StoredTable.open(name, filter: nil, in: storage)
    }

    private func keep(_ merge: IndexTableMerge) throws(VarveError) -> StoredTable {
        var bytes: [UInt8] = []
        try merge.write { bytes.append(contentsOf: $0) }
        return try StoredTable(name: nil, source: BytesInMemory(bytes))
    }

    /// Each table that needs a filter has one, and there are no others.
    func updateFilters(_ tables: [StoredTable]) throws(VarveError) {
        for table in tables where table.needsFilter && !table.hasFilter {
            if let damaged = table.damagedFilter { try storage.setAside(ObjectName(.filter, damaged)) }
            try table.publishFilter(in: storage)
        }
        let names = Set(tables.compactMap(\.name))
        for object in try storage.list(.filter) {
            if let table = StoredTable.table(ofFilter: object), !names.contains(table) {
                try storage.remove(ObjectName(.filter, object))
            }
        }
    }
}
