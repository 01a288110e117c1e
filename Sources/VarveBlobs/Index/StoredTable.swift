import Synchronization
import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// An index table with its filter, and what is known of its packs.
final class StoredTable: Sendable, CustomStringConvertible {
    /// Up to this many bytes a table is read as a whole and needs no filter.
    static let wholeLimit = 64 << 10
    /// Up to this many bytes a filter is read as a whole. Tables grow by factors, so all that is read on opening is
    /// less than 2 MiB, whatever the index holds.
    static let wholeFilterLimit = 1 << 20

    private enum PackState: UInt8 { case unknown, there, gone }

    private struct Filter {
        var filter: IndexFilter?
        var name: String?
        var isDamaged = false
    }

    /// Nil for a table that is in memory only.
    let name: ContentID?
    let source: any ByteSource
    let table: IndexTable
    private let filter: Mutex<Filter>
    private let packs: Mutex<[PackState]>

    init(name: ContentID?, source: some ByteSource) throws(VarveError) {
        self.name = name
        self.source = source
        let table = try IndexTable(source)
        // Merging and hashing read everything, and go by `source`.
        self.table = try IndexTable(CachedHead(source, length: table.entriesStart))
        filter = Mutex(Filter())
        packs = Mutex(Array(repeating: .unknown, count: table.packCount))
    }

    /// - Parameter filter: the name of its filter's object, if there is one. A filter that can't be used costs time.
    static func open(_ name: ContentID, filter: String?, in storage: any Storage) throws(VarveError)
        -> StoredTable
    {
        let source = try load(ObjectName(.index, name), upTo: wholeLimit, in: storage)
        let table = try StoredTable(name: name, source: source)
        if let filter, table.needsFilter { table.openFilter(filter, in: storage) }
        return table
    }

    var description: String { name.map { "\(ObjectName(.index, $0))" } ?? "the index in memory" }

    /// For notices.
    static let unusable = "it can't be used: its packs are read instead"

    var needsFilter: Bool { name != nil && source.byteCount > Self.wholeLimit }
    var hasFilter: Bool { filter.withLock { $0.filter != nil } }
    /// The object that a writer takes out of the way.
    var damagedFilter: String? { filter.withLock { $0.isDamaged ? $0.name : nil } }

    func openFilter(_ object: String, in storage: any Storage) {
        let opened = Result { () throws(VarveError) in
            let source = try Self.load(ObjectName(.filter, object), upTo: Self.wholeFilterLimit, in: storage)
            let opened = try IndexFilter(source)
            guard opened.table == name else {
                throw VarveError(.corrupt, "the filter is that of another table")
            }
            return opened
        }
        filter.withLock {
            switch opened {
            case .success(let opened): $0 = Filter(filter: opened, name: object)
            case .failure(let error):
                $0 = Filter(name: object, isDamaged: true)
                noteUnusable(object, error)
            }
        }
    }

    private func noteUnusable(_ filter: String, _ error: any Error) {
        Notices.note(
            .remark, "\(ObjectName(.filter, filter))", "it can't be used: its index table is asked instead",
            error)
    }

    private static func load(
        _ object: ObjectName, upTo limit: Int, in storage: any Storage
    ) throws(VarveError) -> any ByteSource {
        let source = try storage.open(object)
        guard source.byteCount <= limit else { return source }
        return BytesInMemory(
            try [UInt8](unsafeUninitializedCapacity: source.byteCount) { (buffer, count) throws(VarveError) in
                let room = UnsafeMutableRawBufferPointer(buffer)
                count = source.byteCount
                try source.read(at: 0, into: UnsafeMutableRawBufferPointer(rebasing: room[..<count]))
            })
    }

    /// Where the blob lies, if the pack still does.
    ///
    /// - Throws: if the table can't be read.
    func find(_ id: ContentID, in storage: any Storage) throws(VarveError) -> IndexTable.Location? {
        guard mayContain(id), let entry = try table.find(id), let location = try table.location(entry) else {
            return nil
        }
        return isThere(entry.packNumber, location.pack, storage) ? location : nil
    }

    /// A filter that can't tell is not asked again.
    private func mayContain(_ id: ContentID) -> Bool {
        guard let filter = filter.withLock({ $0.filter }) else { return true }
        do {
            return try filter.mayContain(id)
        } catch {
            self.filter.withLock {
                $0.filter = nil
                $0.isDamaged = true
                if let name = $0.name { noteUnusable(name, error) }
            }
            return true
        }
    }

    /// Looked up once for each pack, when the first of its blobs is asked for: so opening need not list the packs.
    /// A pack that can't be looked at counts as there, and reading it tells why.
    private func isThere(_ number: Int, _ pack: ContentID, _ storage: any Storage) -> Bool {
        let known = packs.withLock { $0[number] }
        if known != .unknown { return known == .there }
        let isThere: Bool
        do { isThere = try storage.size(of: ObjectName(.pack, pack)) != nil } catch { isThere = true }
        packs.withLock { $0[number] = isThere ? .there : .gone }
        return isThere
    }

    /// Throws unless its bytes are what its name promises; they are read once, in pieces.
    func requireIntact() throws(VarveError) {
        if let name { try NamedBytes.require(source, name) }
    }

    /// Publishes the filter and uses it.
    func publishFilter(in storage: any Storage) throws(VarveError) {
        guard let name else { return }
        let object = try storage.publish(.filter) { (append) throws(VarveError) in
            var hasher = Hasher()
            try IndexFilter.write(of: table, name: name) { (bytes) throws(VarveError) in
                hasher.update(bytes)
                try append(bytes)
            }
            return "\(name)-\(hasher.finish())"
        }
        openFilter(object.name, in: storage)
    }

    /// The table that a filter's object is about, by its name.
    static func table(ofFilter object: String) -> ContentID? {
        object.utf8.count == 2 * 64 + 1 ? ContentID(hex: object.prefix(64)) : nil
    }
}
