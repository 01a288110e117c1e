import VarveFiles
import VarveFormat
import VarveStorage

extension RepositoryIndex {
    /// Where blobs are not, whatever tables and packs' directories say, and where else they are.
    struct Damage: Sendable {
        private struct Place: Hashable {
            var id: ContentID
            var pack: ContentID
            var offset: UInt32
        }

        private var places: Set<Place> = []
        /// Further places of blobs that are stored twice, as what was damaged is; nil until they were looked for.
        var others: [ContentID: [IndexTable.Location]]?
        /// Deltas that no table is to list.
        var baseless: Set<ContentID> = []

        var isEmpty: Bool { places.isEmpty }

        func spares(_ id: ContentID, at location: IndexTable.Location) -> Bool {
            places.isEmpty
                || !places.contains(Place(id: id, pack: location.pack, offset: location.offset))
        }

        /// - Returns: false if it was known.
        mutating func add(_ id: ContentID, at location: IndexTable.Location) -> Bool {
            places.insert(Place(id: id, pack: location.pack, offset: location.offset)).inserted
        }
    }

    /// Says that the blob is not what it should be at this place: another one is better, and without another one a
    /// writer stores it again.
    ///
    /// - Returns: false if that was known.
    func distrust(_ id: ContentID, at location: IndexTable.Location) -> Bool {
        state.withLock { $0.damage.add(id, at: location) }
    }

    /// Whether a blob is stored where it is damaged, and nowhere else. What takes its place has to stand alone: what it
    /// would be compared with may be built on it.
    package func isDamaged(_ id: ContentID) -> Bool {
        if state.withLock({ $0.damage.isEmpty }) { return false }
        return !contains(id) && find(id) != nil
    }

    /// Looks for blobs that lie at several places, by the directories of all packs. Once, and once after `rebuild`; then
    /// it is false.
    package func lookElsewhere() throws(VarveError) -> Bool {
        if state.withLock({ $0.damage.others != nil }) { return false }
        var others: [ContentID: [IndexTable.Location]] = [:]
        try storage.forEachPack { pack in
            guard let contents = contents(of: pack) else { return }
            for entry in contents.entries {
                let (id, location) = (entry.header.id, entry.location(in: pack))
                let found = find(id)
                if found?.pack == pack && found?.offset == entry.offset { continue }
                others[id, default: []].append(location)
            }
        }
        state.withLock { $0.damage.others = others }
        return true
    }

    /// Packs that a table lists, there or not.
    package func packsListed() -> Set<ContentID> {
        var packs: Set<ContentID> = []
        for table in state.withLock({ $0.tables }) {
            // A table that can't be read is no evidence.
            Notices.attempt(.remark, table.description, "its list of packs can't be read") {
                try table.table.forEachPack { packs.insert($0) }
            }
        }
        return packs
    }

    /// After `lookElsewhere`.
    package func isStoredTwice(_ id: ContentID) -> Bool { state.withLock { $0.damage.others?[id] != nil } }

    /// Lets deltas whose base is in no pack count as absent: in packs that no table listed, and in all if one is gone
    /// that a table lists. Then tables without what is lost take the place of the others.
    func distrustBaseless(in unlisted: [ContentID]) throws(VarveError) {
        let isPackGone = state.withLock { $0.isPackGone }
        var packs = unlisted
        if isPackGone {
            packs = []
            try storage.forEachPack { packs.append($0) }
        }
        var isInTable = false
        // Again, as long as there are any: each may be the base of others.
        while try distrustBaselessOnce(in: packs, &isInTable) {}
        guard isPackGone || isInTable else { return }
        try state.withLock { (state) throws(VarveError) in
            for table in state.tables { state.distrust(table, nil) }
            state.unlisted = [:]
            state.unlistedPacks = []
            state.isPackGone = false
            try list(&state)
        }
    }

    private func distrustBaselessOnce(in packs: [ContentID], _ isInTable: inout Bool) throws(VarveError)
        -> Bool
    {
        var isAny = false
        for pack in packs {
            guard let contents = contents(of: pack) else { continue }
            for entry in contents.entries {
                guard let base = entry.header.base, !contains(base) else { continue }
                let (id, location) = (entry.header.id, entry.location(in: pack))
                state.withLock { state in
                    guard state.damage.add(id, at: location) else { return }
                    isAny = true
                    state.damage.baseless.insert(id)
                    if state.unlisted[id] == location { state.unlisted[id] = nil } else { isInTable = true }
                }
            }
        }
        return isAny
    }
}

extension Pack.Entry {
    func location(in pack: ContentID) -> IndexTable.Location {
        IndexTable.Location(pack: pack, offset: offset, readLength: header.totalLength)
    }
}
