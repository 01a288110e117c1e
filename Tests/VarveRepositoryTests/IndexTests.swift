import Testing
import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveTestSupport
import VarveUpkeep

/// The index over tables that are too large to be read as a whole, so that filters are in use.
@Suite struct IndexTests {
    private static let blobs = 4000
    let directory: TemporaryDirectory
    let repository: Repository
    private let ids: [ContentID]
    private let absent: [ContentID]

    init() throws {
        directory = try TemporaryDirectory()
        repository = try TestRepository.create(at: directory.path)
        ids = try Self.store(0..<Self.blobs, in: repository)
        absent = (0..<2000).map { dataID(Self.blob($0 + 1_000_000)) }
    }

    private static func blob(_ number: Int) -> [UInt8] { Array("blob \(number)".utf8) }

    private static func store(_ numbers: Range<Int>, in repository: Repository) throws -> [ContentID] {
        let writer = try RepositoryWriter(repository)
        let blobs = GoldenBlobs(writer)
        let ids = try numbers.map { try blobs.store(blob($0)) }
        try writer.flush()
        return ids
    }

    private func index(_ storage: any Storage, isWriter: Bool = false, limit: Int = 1 << 16) throws
        -> RepositoryIndex
    {
        try RepositoryIndex(storage: storage, repository: repository.id, isWriter: isWriter, limit: limit)
    }

    private func expectAll(_ index: RepositoryIndex, _ comment: Comment? = nil) {
        #expect(ids.allSatisfy { index.find($0) != nil }, comment)
        #expect(absent.allSatisfy { index.find($0) == nil }, comment)
    }

    private func only(_ kind: String) throws -> String {
        let names = try Directory.list(directory.join(kind))
        #expect(names.count == 1)
        return directory.join("\(kind)/\(names.first ?? "")")
    }

    /// The same for any number of blobs and packs: headers are read, packs are neither listed nor looked at.
    @Test func openingReadsHeadersOnly() throws {
        let storage = WatchedStorage(repository.storage)
        let index = try index(storage)
        // The header, and the page that it is in.
        #expect(storage.counts(.index).reads <= 2)
        #expect(storage.counts(.pack).lists == 0)
        #expect(index.find(ids[0]) != nil)
        #expect(storage.counts(.pack).lists == 0)
        // Control: a reader that misses a blob does list them, once.
        for id in absent.prefix(10) { #expect(index.find(id) == nil) }
        #expect(storage.counts(.pack).lists == 1)
    }

    @Test func absentIDsRarelyTouchTheTable() throws {
        let storage = WatchedStorage(repository.storage)
        let index = try index(storage)
        _ = index.find(absent[0])
        storage.reset()
        expectAll(index)
        // The bucket; where it is, and the packs' names, is remembered.
        let reads = storage.counts(.index).reads
        #expect(reads >= ids.count && reads < ids.count + absent.count / 20)
        // Control: without a filter each of them costs a look.
        try Directory.removeTree(directory.join("filters"))
        let without = WatchedStorage(repository.storage)
        expectAll(try self.index(without))
        #expect(without.counts(.index).reads >= ids.count + absent.count * 9 / 10)
    }

    /// An earlier version neither makes nor keeps filters.
    @Test func aRepositoryWithoutFiltersGetsThem() throws {
        try Directory.removeTree(directory.join("filters"))
        expectAll(try repository.openIndex())
        #expect(try Verifier(repository).verifyMedia().isGood)
        let index = try index(repository.storage, isWriter: true)
        try index.flush()
        _ = try only("filters")
        // One whose table is gone goes as well.
        let stale = directory.join("filters/\(absent[0])-\(absent[1])")
        try Bytes.write([1], to: stale)
        try index.flush()
        _ = try only("filters")
    }

    /// Whatever byte is damaged, no blob is hidden, and the next writer puts the filter right.
    @Test func aDamagedFilterHidesNothing() throws {
        let path = try only("filters")
        let good = try Bytes.read(path)
        for at in stride(from: 0, to: good.count, by: 97) {
            var damaged = good
            damaged[at] ^= 0xFF
            try Bytes.write(damaged, to: path)
            expectAll(try repository.openIndex(), "byte \(at)")
        }
        for length in [0, 63, 64, 128, good.count - 1] {
            try Bytes.write(Array(good.prefix(length)), to: path)
            expectAll(try repository.openIndex(), "\(length) bytes")
        }
        #expect(try Verifier(repository).verifyMedia().findings.count == 1)
        #expect(try Verifier(repository).verifyContent().losses.isEmpty)
        let index = try index(repository.storage, isWriter: true)
        try index.flush()
        #expect(try Bytes.read(path) == good)
        #expect(try Directory.list(directory.join("quarantine")).count == 1)
    }

    /// The control of the one above: a filter with right checksums that lets nothing pass is believed, so filters
    /// are asked; and a reader comes by its blobs all the same.
    @Test func aForgedFilterCostsTimeOnly() throws {
        let path = try only("filters")
        let good = try Bytes.read(path)
        var forged = Array(good.prefix(IndexFilter.headerLength))
        let sum = [UInt8](repeating: 0, count: 60).withUnsafeBytes { CRC32C.of($0) }
        var block = ByteWriter()
        block.zeros(60)
        block.integer(sum)
        let filter = try IndexFilter(BytesInMemory(good))
        for _ in 0..<filter.blockCount { forged += block.bytes }
        try Bytes.write(forged, to: path)
        let index = try repository.openIndex()
        #expect(ids.allSatisfy { index.find($0) == nil })
        #expect(try repository.reader().read(ids[7], .data) == Self.blob(7))
        // One that says that it is another table's is not believed.
        forged[16] ^= 1
        var header = ByteWriter()
        header.raw(forged[..<60])
        header.integer(header.bytes.withUnsafeBytes { CRC32C.of($0) })
        forged.replaceSubrange(..<64, with: header.bytes)
        try Bytes.write(forged, to: path)
        expectAll(try repository.openIndex())
    }

    /// A sector that can't be read is an error of a read, not a signal; the packs are asked instead.
    @Test(arguments: [64, 128, 40_000]) func anUnreadableTableHidesNothing(_ from: Int) throws {
        let storage = WatchedStorage(repository.storage) { object, offset in
            object.kind == .index && offset >= from
        }
        expectAll(try index(storage))
    }

    @Test func anUnreadableFilterHidesNothing() throws {
        let storage = WatchedStorage(repository.storage) { object, _ in object.kind == .filter }
        expectAll(try index(storage))
    }

    /// A table may list a pack that is gone: its blobs count as not there, and are stored again.
    @Test func packsThatAreGoneDoNotCount() throws {
        let before = try repository.openIndex()
        let gone = try #require(before.find(ids[0])?.pack)
        let lost = ids.filter { before.find($0)?.pack == gone }
        try repository.storage.remove(ObjectName(.pack, gone))
        let index = try repository.openIndex()
        #expect(lost.allSatisfy { index.find($0) == nil })
        #expect(ids.count { index.find($0) != nil } == ids.count - lost.count)
        _ = try Self.store(0..<Self.blobs, in: repository)
        expectAll(try repository.openIndex())
    }

    /// However many blobs no table lists, few of them are in memory as such; all are found.
    @Test(arguments: [true, false]) func aLostIndexIsReadInBoundedMemory(_ isWriter: Bool) throws {
        try repository.storage.remove(
            ObjectName(.index, try #require(try repository.storage.list(.index).first)))
        let index = try index(repository.storage, isWriter: isWriter, limit: 500)
        #expect(index.tableCount == 0)
        expectAll(index)
        // Packs are read whole, so one may lie above the limit.
        #expect(index.unlistedCount <= 500)
        #expect(index.tableCount >= 1 && index.tableCount <= 8)
        // A reader leaves the repository as it is; a writer has put right what was lost.
        #expect(try repository.storage.list(.index).count == (isWriter ? index.tableCount : 0))
        #expect(try index.rebuild())
        expectAll(index)
        #expect(index.unlistedCount <= 500)
        #expect(try !index.rebuild())
    }

    /// Damage that a merge meets is not carried on: the table goes aside in the same run, and its packs are asked.
    @Test func aDamagedTableIsNotMerged() throws {
        let path = try only("indexes")
        var bytes = try Bytes.read(path)
        bytes[bytes.count - 3000] ^= 1
        try Bytes.write(bytes, to: path)
        _ = try Self.store(Self.blobs..<Self.blobs * 2, in: repository)
        #expect(try Directory.list(directory.join("quarantine")).count == 1)
        expectAll(try repository.openIndex())
        #expect(try Verifier(repository).verifyContent().isGood)
        // Nothing had to be read from the packs for that.
        let storage = WatchedStorage(repository.storage)
        let index = try index(storage)
        #expect(ids.allSatisfy { index.find($0) != nil } && storage.counts(.pack).lists == 0)
    }
}
