import Synchronization
import VarveFiles
import VarveFormat
import VarveStorage

/// Where each blob is: the stored tables, and in memory what they do not cover yet.
///
/// The index is a cache. Packs that no table lists (a run was killed before it wrote its index, or the index was
/// lost) are read from their own directories; packs that a table lists and that are gone are ignored. Opening reads
/// the headers of a few tables: packs are looked for when a lookup leads to one, and listed when a reader misses a
/// blob, or a writer begins.
package final class RepositoryIndex: Sendable {
    struct State {
        /// Largest first: that is where most blobs are.
        var tables: [StoredTable] = []
        /// Entries of packs that no table lists, and these packs.
        var unlisted: [ContentID: IndexTable.Location] = [:]
        var unlistedPacks: Set<ContentID> = []
        /// Index objects that can't be read, or that a rebuild found wanting: set aside at the next flush.
        var damaged: [String] = []
        /// The packs were compared with the tables.
        var isListed = false
        var isRebuilt = false
        /// A table lists a pack that is not there.
        var isPackGone = false
        var damage = Damage()
    }

    /// Blobs kept in memory before they become a table: about 6 MiB.
    package static let defaultLimit = 1 << 16

    let storage: any Storage
    let repository: RepositoryID
    /// May write tables; a reader keeps in memory what it would write.
    let isWriter: Bool
    private let limit: Int
    let state: Mutex<State>

    /// - Parameters:
    ///   - isWriter: the caller holds the repository's lock.
    ///   - limit: blobs kept in memory before they become a table.
    package init(
        storage: any Storage, repository: RepositoryID, isWriter: Bool = false,
        limit: Int = RepositoryIndex.defaultLimit
    ) throws(VarveError) {
        self.storage = storage
        self.repository = repository
        self.isWriter = isWriter
        self.limit = limit
        state = Mutex(try Self.load(storage, repository))
    }

    private static func load(_ storage: any Storage, _ repository: RepositoryID) throws(VarveError) -> State {
        // A writer that is at work removes a table when what it was merged into is there: then we look again.
        for _ in 0..<5 {
            if let state = try loadOnce(storage, repository, refusingMissing: true) { return state }
        }
        return try loadOnce(storage, repository, refusingMissing: false) ?? State()
    }

    private static func loadOnce(
        _ storage: any Storage, _ repository: RepositoryID, refusingMissing: Bool
    ) throws(VarveError) -> State? {
        var state = State()
        let filters = try storage.list(.filter).compactMap { name in
            StoredTable.table(ofFilter: name).map { ($0, name) }
        }
        let filterOfTable = Dictionary(filters, uniquingKeysWith: { first, _ in first })
        for name in try storage.list(.index) {
            do {
                guard let id = ContentID(hex: name) else {
                    throw VarveError(.corrupt, "no index is called like this")
                }
                let table = try StoredTable.open(id, filter: filterOfTable[id], in: storage)
                guard table.table.repository == repository else {
                    throw VarveError(.corrupt, "an index of another repository")
                }
                state.tables.append(table)
            } catch let error as VarveError where error.code == .missing && refusingMissing {
                return nil
            } catch let error as VarveError where error.isAccess {
                // Not damaged, and not to be made anew beside it either.
                throw error
            } catch {
                // A damaged index object costs time, never data: its packs are read instead.
                state.damaged.append(name)
                Notices.note(.remark, "\(ObjectName(.index, name))", StoredTable.unusable, error)
            }
        }
        state.sortTables()
        return state
    }

    /// Where to read a blob: where nothing is known against it, or else where it is damaged, as what is built on it may
    /// be whole all the same.
    package func find(_ id: ContentID) -> IndexTable.Location? {
        var lastResort: IndexTable.Location?
        return find(id, &lastResort) ?? lastResort
    }

    /// Whether a blob is stored, and nothing is known against it.
    package func contains(_ id: ContentID) -> Bool {
        var damaged: IndexTable.Location?
        return find(id, &damaged) != nil
    }

    private func find(_ id: ContentID, _ damaged: inout IndexTable.Location?) -> IndexTable.Location? {
        while true {
            let (location, tables, isListed, damage) = state.withLock {
                ($0.unlisted[id], $0.tables, $0.isListed, $0.damage)
            }
            if let location {
                if damage.spares(id, at: location) { return location }
                damaged = location
            }
            var unreadable: (table: StoredTable, error: VarveError)?
            for table in tables {
                do {
                    guard let location = try table.find(id, in: storage) else { continue }
                    if damage.spares(id, at: location) { return location }
                    damaged = damaged ?? location
                } catch {
                    unreadable = (table, error)
                    break
                }
            }
            if let unreadable {
                state.withLock { $0.distrust(unreadable.table, unreadable.error) }
            } else if isListed {
                return damage.others?[id]?.first { damage.spares(id, at: $0) }
            } else {
                // Packs that can't be listed hold nothing that can be read either.
                state.withLock { state in
                    _ = Notices.attempt(.remark, storage.location, "its packs can't be listed") {
                        try list(&state)
                    }
                }
            }
        }
    }

    /// Reads every pack's own directory instead of the tables: after a lookup led nowhere. Once; then it is false.
    ///
    /// In bounded memory for a writer; a reader, which may not write, then holds some 50 bytes for each blob.
    package func rebuild() throws(VarveError) -> Bool {
        try state.withLock { (state) throws(VarveError) in
            if state.isRebuilt { return false }
            state.isRebuilt = true
            // Of several places another one may now be the first.
            state.damage.others = nil
            for table in state.tables { state.distrust(table, nil) }
            state.unlisted = [:]
            state.unlistedPacks = []
            try list(&state)
            return true
        }
    }

    /// A pack that was just published, with its blobs.
    package func add(pack: ContentID, entries: [Pack.Entry]) throws(VarveError) {
        try state.withLock { (state) throws(VarveError) in
            state.add(pack, entries)
            if state.unlisted.count > limit { try settle(&state) }
        }
    }

    /// Reads the packs that no table lists, and makes them durable first: whoever published them may have died
    /// before they were. To be called by a writer before it refers to what they hold.
    package func confirmUnlisted() throws(VarveError) {
        try distrustBaseless(in: try state.withLock { (state) throws(VarveError) in try list(&state) })
    }

    /// Writes what no table covers as a new table, and merges tables of similar size into it, so that their number
    /// grows with the logarithm of what they hold. A table is removed only when its successor is durable.
    package func flush() throws(VarveError) {
        precondition(isWriter)
        try state.withLock { (state) throws(VarveError) in try flush(&state) }
    }

    /// Blobs that are in memory one by one.
    package var unlistedCount: Int { state.withLock { $0.unlisted.count } }

    /// Tables that a lookup may go through.
    package var tableCount: Int { state.withLock { $0.tables.count } }

    /// - Returns: the packs that no table listed.
    @discardableResult
    func list(_ state: inout State) throws(VarveError) -> [ContentID] {
        state.isListed = true
        let packs = try packsWithoutTable(&state)
        if isWriter { try storage.confirm(packs.map { ObjectName(.pack, $0) }) }
        for pack in packs {
            guard let contents = contents(of: pack) else { continue }
            state.add(pack, contents.entries)
            if state.unlisted.count > limit { try settle(&state) }
        }
        return packs
    }

    /// A pack that can't be read must not keep the others from being used: its blobs count as not there, and verification
    /// names it.
    func contents(of pack: ContentID) -> PackContents? {
        Notices.attempt(
            .remark, "\(ObjectName(.pack, pack))",
            "its directory can't be read: what is in it counts as not there"
        ) { try PackReader.contents(of: pack, in: storage) }
    }

    private func packsWithoutTable(_ state: inout State) throws(VarveError) -> [ContentID] {
        var packs: Set<ContentID> = []
        try storage.forEachPack { packs.insert($0) }
        let there = packs
        for table in state.tables {
            do {
                try table.table.forEachPack {
                    packs.remove($0)
                    if !there.contains($0) { state.isPackGone = true }
                }
            } catch {
                state.distrust(table, error)
                state.isListed = true
                return try packsWithoutTable(&state)
            }
        }
        packs.subtract(state.unlistedPacks)
        return packs.sorted()
    }

    private func settle(_ state: inout State) throws(VarveError) {
        if isWriter { try flush(&state) } else { try merge(&state) }
    }

    private func flush(_ state: inout State) throws(VarveError) {
        // A merge may find a table damaged: its packs are read then, and take its place.
        repeat {
            if !state.isListed { try list(&state) }
            for name in state.damaged { try storage.setAside(ObjectName(.index, name)) }
            state.damaged = []
            if !state.unlisted.isEmpty { try merge(&state) }
        } while !state.isListed || !state.damaged.isEmpty
        try updateFilters(state.tables)
    }
}

extension RepositoryIndex.State {
    mutating func sortTables() { tables.sort { $0.table.count > $1.table.count } }

    mutating func add(_ pack: ContentID, _ entries: [Pack.Entry]) {
        unlistedPacks.insert(pack)
        for entry in entries {
            let (id, location) = (entry.header.id, entry.location(in: pack))
            if !damage.baseless.contains(id) || damage.spares(id, at: location) { unlisted[id] = location }
        }
    }

    /// The packs of a table that can't be trusted have to be asked themselves.
    ///
    /// - Parameter error: why; nil if nothing is wrong with the table itself.
    mutating func distrust(_ table: StoredTable, _ error: VarveError?) {
        if let error { Notices.note(.remark, table.description, StoredTable.unusable, error) }
        guard let at = tables.firstIndex(where: { $0 === table }) else { return }
        tables.remove(at: at)
        if let name = table.name { damaged.append(name.hex) }
        isListed = false
    }
}
