import Synchronization
import VarveCodec
import VarveFormat
import VarveStorage

/// Where each blob is: the stored tables, and in memory what they do not cover yet.
///
/// The index is a cache. Packs that no table lists (a run was killed before it wrote its index, or the index was
/// lost) are read from their own directories; packs that a table lists and that are gone are ignored.
public final class RepositoryIndex: Sendable {
    private struct Table {
        var name: String
        var table: IndexTable
        /// Keeps the mapped bytes alive.
        var storage: ObjectBytes
    }

    private struct State {
        var tables: [Table] = []
        /// Packs whose entries may be used.
        var packs: Set<ContentID> = []
        /// Entries of packs that no table lists.
        var unlisted: [ContentID: IndexTable.Location] = [:]
        /// Index objects that can't be read, or that a rebuild found wanting: set aside at the next flush.
        var damaged: [String] = []
        var isRebuilt = false
    }

    private let storage: any Storage
    private let repository: RepositoryID
    private let state: Mutex<State>

    public init(storage: any Storage, repository: RepositoryID) throws {
        self.storage = storage
        self.repository = repository
        state = Mutex(try Self.load(storage, repository))
    }

    private static func load(_ storage: any Storage, _ repository: RepositoryID) throws -> State {
        var state = State()
        for name in try storage.list(.index) {
            // A damaged index object costs time, never data: its packs are read instead.
            guard let stored = try? storage.map(ObjectName(.index, name)),
                let table = try? IndexTable(stored.bytes), table.repository == repository
            else {
                state.damaged.append(name)
                continue
            }
            state.tables.append(Table(name: name, table: table, storage: stored))
        }
        let listed = Set(state.tables.flatMap { table in (0..<table.table.packCount).map(table.table.pack) })
        for name in try storage.list(.pack) {
            guard let pack = ContentID(hex: name) else { continue }
            state.packs.insert(pack)
            if !listed.contains(pack) { addUnlisted(pack, storage, &state) }
        }
        return state
    }

    /// A pack that can't be read must not keep the others from being used: its blobs count as not there, and
    /// verification names it.
    private static func addUnlisted(_ pack: ContentID, _ storage: any Storage, _ state: inout State) {
        guard let contents = try? PackReader.contents(of: pack, in: storage) else { return }
        for entry in contents.entries {
            state.unlisted[entry.header.id] = IndexTable.Location(
                pack: pack, offset: entry.offset, readLength: entry.header.totalLength)
        }
    }

    public func find(_ id: ContentID) -> IndexTable.Location? {
        state.withLock { state in
            if let location = state.unlisted[id] { return location }
            for table in state.tables {
                if let location = table.table.find(id), state.packs.contains(location.pack) {
                    return location
                }
            }
            return nil
        }
    }

    /// Reads every pack's own directory instead of the tables: after a lookup led nowhere. Once; then it is false.
    public func rebuild() -> Bool {
        state.withLock { state in
            if state.isRebuilt { return false }
            state.damaged += state.tables.map(\.name)
            state.tables = []
            state.unlisted = [:]
            for pack in state.packs { Self.addUnlisted(pack, storage, &state) }
            state.isRebuilt = true
            return true
        }
    }

    /// A pack that was just published, with its blobs.
    func add(pack: ContentID, entries: [Pack.Entry]) {
        state.withLock { state in
            state.packs.insert(pack)
            for entry in entries {
                state.unlisted[entry.header.id] = IndexTable.Location(
                    pack: pack, offset: entry.offset, readLength: entry.header.totalLength)
            }
        }
    }

    /// Makes the packs durable that no table lists: whoever published them may have died before they were. To be
    /// called by a writer before it refers to what they hold.
    func confirmUnlisted() throws {
        let packs = state.withLock { Set($0.unlisted.values.map(\.pack)) }
        try storage.confirm(packs.map { ObjectName(.pack, $0) })
    }

    public var packs: [ContentID] { state.withLock { $0.packs.sorted() } }

    /// Writes what no table covers as a new table, and merges tables of similar size into it, so that their number
    /// grows with the logarithm of what they hold. A table is removed only when its successor is durable.
    public func flush() throws {
        try state.withLock { state in
            for name in state.damaged { try storage.setAside(ObjectName(.index, name)) }
            state.damaged = []
            if state.unlisted.isEmpty { return }
            let merged = try tablesToMerge(&state)
            var builder = IndexTableBuilder(repository: repository)
            for (id, location) in state.unlisted { builder.add(id, location) }
            let recent = builder.encoded()
            let name = try recent.withUnsafeBytes { recent in
                let tables = [try IndexTable(recent)] + merged.map(\.table)
                return try publish(
                    IndexTableMerge(tables, repository: repository) { state.packs.contains($0) })
            }
            for table in merged where table.name != name {
                try storage.remove(ObjectName(.index, table.name))
            }
            let stored = try storage.map(ObjectName(.index, name))
            let gone = Set(merged.map(\.name) + [name])
            state.tables.removeAll { gone.contains($0.name) }
            state.tables.append(Table(name: name, table: try IndexTable(stored.bytes), storage: stored))
            state.unlisted = [:]
        }
    }

    /// Those not much larger than what is merged into them, so that each entry is written O(log n) times.
    ///
    /// Merging a damaged table would give its damage a valid name: one that is not what its name promises is set
    /// aside, and its packs are asked instead.
    private func tablesToMerge(_ state: inout State) throws -> [Table] {
        var merged: [Table] = []
        var count = state.unlisted.count
        for table in state.tables.sorted(by: { $0.table.count < $1.table.count }) {
            if table.table.count > 2 * count { break }
            guard Hasher.name(of: table.storage.bytes).hex == table.name else {
                try storage.setAside(ObjectName(.index, table.name))
                state.tables.removeAll { $0.name == table.name }
                let listed = Set(
                    state.tables.flatMap { table in (0..<table.table.packCount).map(table.table.pack) })
                for pack in state.packs where !listed.contains(pack) {
                    Self.addUnlisted(pack, storage, &state)
                }
                return try tablesToMerge(&state)
            }
            count += table.table.count
            merged.append(table)
        }
        return merged
    }

    private func publish(_ merge: IndexTableMerge) throws -> String {
        try storage.publish(.index) { append in
            var hasher = Hasher()
            try merge.write {
                hasher.update($0)
                try append($0)
            }
            return hasher.finish().hex
        }.name
    }

    /// Blobs known in memory only: what a caller watches to flush before they become many.
    public var unlistedCount: Int { state.withLock { $0.unlisted.count } }
}
