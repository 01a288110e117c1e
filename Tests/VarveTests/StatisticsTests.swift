import Testing
import VarveBlobs
import VarveCapture
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport

/// What a backup finds is counted, and what a restore takes is computed, against histories whose numbers are known.
@Suite struct StatisticsTests {
    private static let random: [[UInt8]] = {
        var random = SeededRandom(seed: 7)
        return (0..<11).map { _ in random.bytes(512) }
    }()

    private let bench: Bench

    init() throws { bench = try Bench() }

    private func backup(_ files: [ListedFile]) throws -> SnapshotStatistics {
        var source = ListedFiles(files)
        source.home = "/srv/known"
        let home = Manifest.Environment.PlacedDirectory(original: ".", restored: ".", configured: false)
        source.summary.environment = Manifest.Environment(
            home: "/srv/known", mode: .offline, envid: nil, dataDirectories: [home], logDirectory: home,
            encrypted: false, registered: false, only: nil)
        return try bench.repository.statistics(of: try bench.backup(source).snapshot)
    }

    private func counts(_ tally: Manifest.Tally?) throws -> [UInt64] {
        let tally = try #require(tally)
        return [
            tally.zeros, tally.unchanged, tally.deduplicated, tally.deltas, tally.whole, tally.maps,
        ].map(\.count)
    }

    private static func file(_ path: String, _ extents: [[UInt8]]) -> ListedFile {
        ListedFile(path, Array(extents.joined()))
    }

    /// Blob headers as the packs have them: what everything stored must add up to.
    private func stored() throws -> UInt64 {
        try bench.packs.reduce(0) { sum, name in
            let pack = try #require(ContentID(hex: name))
            let entries = try PackReader.directory(of: pack, in: bench.repository.storage).entries
            return sum + entries.reduce(0) { $0 + UInt64($1.header.totalLength) }
        }
    }

    @Test func aKnownHistory() throws {
        let random = Self.random
        var extents = Array(random[..<8]) + [[UInt8](repeating: 0, count: 512), random[8]]
        let other = Self.file("b", [random[0], random[1], random[0]])
        let first = try backup([Self.file("a", extents), other])
        // Zeros, unchanged, deduplicated, deltas, whole, maps.
        #expect(try counts(first.files[0].tally) == [1, 0, 0, 0, 9, 1])
        #expect(try counts(first.files[1].tally) == [0, 0, 3, 0, 0, 1])
        #expect(try counts(first.tally) == [1, 0, 3, 0, 9, 2])
        #expect(first.tally?.added.stored == (try stored()))
        #expect(first.restore.extentsByDepth == [12] && first.restore.bytes == 12 * 512)
        #expect(first.restore.decodedBytes == 12 * 512)

        // A granule of one changes, one becomes another that is there, one becomes new.
        extents[2].replaceSubrange(64..<96, with: repeatElement(1, count: 32))
        extents[3] = random[8]
        extents[4] = random[10]
        let second = try backup([Self.file("a", extents), other])
        #expect(try counts(second.files[0].tally) == [1, 6, 1, 1, 1, 1])
        #expect(try counts(second.files[1].tally) == [0, 3, 0, 0, 0, 0])
        let tally = try #require(second.tally)
        #expect(tally.deltas.bytes == 512 && tally.deltas.stored > 84 && tally.deltas.stored < 256)
        #expect(tally.whole.bytes == 512 && tally.whole.stored == 512 + 52)
        let sizes = [tally.zeros, tally.unchanged, tally.deduplicated, tally.deltas, tally.whole]
        #expect(sizes.map(\.bytes).reduce(0, +) == 13 * 512)

        // Two granules of what is a delta already.
        extents[2].replaceSubrange(256..<320, with: repeatElement(2, count: 64))
        let third = try backup([Self.file("a", extents), other])
        #expect(try counts(third.tally) == [1, 11, 0, 1, 0, 1])
        #expect(third.restore.extentsByDepth == [11, 0, 1])
        #expect(third.restore.decodedBytes == 12 * 512 + 32 + 64)
        #expect(third.restore.deepest == 2 && third.restore.shallowest == 0)
        let added = [first, second, third].reduce(0) { $0 + ($1.tally?.added.stored ?? 0) }
        #expect(added == (try stored()))
        try check(third)
    }

    @Test func whatIsStoredOfASnapshot() throws {
        let random = Self.random
        let files = [Self.file("a", [random[0], random[0], random[1]]), Self.file("b", [random[1]])]
        let statistics = try backup(files)
        // Shared blobs count with the first file.
        #expect(statistics.files.map(\.stored.whole.count) == [2, 0])
        #expect(statistics.files.map(\.stored.maps.count) == [1, 1])
        #expect(statistics.stored.all.stored == (try stored()))
        #expect(statistics.stored.headerBytes == 4 * 52 && statistics.stored.directoryBytes == 4 * 48)
        #expect(statistics.stored.indexBytes == 4 * 24)
        #expect(
            statistics.packs.count == 1 && statistics.indexes.count == 1 && statistics.manifests.count == 1)
        let pack = try Bytes.read(bench.path(ofPack: try bench.packs[0]))
        #expect(statistics.packs.bytes == UInt64(pack.count))
        // Header, then blobs, then `VARVEDIR`, the directory and the trailer.
        let frame = 64 + 8 + 32
        #expect(
            statistics.packs.bytes
                == statistics.stored.all.stored + statistics.stored.directoryBytes + UInt64(frame))
        try check(statistics)
    }

    @Test func aDeepMapIsCountedNodeByNode() throws {
        var random = SeededRandom(seed: 8)
        let bytes = random.bytes(600 * 512)
        let statistics = try backup([ListedFile("deep", bytes)])
        #expect(statistics.stored.maps.count == 4 && statistics.tally?.maps.count == 4)
        #expect(statistics.stored.all.stored == (try stored()))
    }

    /// Nothing is said that is not known.
    @Test func aManifestFromBeforeItWasRecorded() throws {
        let directory = try GoldenRepositoryTests.copy()
        let repository = try Repository.open(directory.path)
        let statistics = try repository.statistics(of: try repository.find("latest"))
        #expect(statistics.tally == nil && statistics.files.allSatisfy { $0.tally == nil })
        #expect(statistics.restore.deepest == 2 && statistics.stored.deltas.count == 3)
        try check(statistics, in: repository)
        // The next one knows.
        let files = GoldenRepository.files.map { ListedFile($0.path, $0.bytes) }
        let next = try Archiver(repository: repository).backup(ListedFiles(files), tool: "test")
        let tally = try #require(try repository.statistics(of: next.snapshot).tally)
        #expect(
            tally.deduplicated.count == 288 && tally.zeros.count == 22 && tally.added == Manifest.Tally.Part()
        )
    }

    @Test func aBlobThatIsGoneIsNamed() throws {
        _ = try backup([Self.file("a", [Self.random[0]])])
        try Directory.removeFile(bench.path(ofPack: try bench.packs[0]))
        let repository = try Repository.open(bench.repository.path)
        expect(.missing) {
            try repository.statistics(of: try repository.find("latest"))
        }
    }

    /// Headers tell what decoding takes.
    private func check(_ statistics: SnapshotStatistics, in given: Repository? = nil) throws {
        let repository = given ?? bench.repository
        let manifest = try repository.manifests.read(try repository.find(statistics.snapshot))
        let reader = BlobReader(index: try repository.openIndex(), storage: repository.storage)
        var (bytes, work) = (0, 0)
        var depths: [UInt64] = []
        for file in manifest.files {
            var map = try ExtentMapReader(file, reader: reader)
            let buffer = BlobBuffer()
            while let extent = try map.next() {
                let chain = try reader.readUnchecked(extent.id, .data, into: buffer)
                bytes += buffer.count
                work += chain.work
                while depths.count <= chain.depth { depths.append(0) }
                depths[chain.depth] += 1
            }
        }
        #expect(statistics.restore.bytes == UInt64(bytes) && statistics.restore.decodedBytes == UInt64(work))
        #expect(statistics.restore.extentsByDepth == depths)
    }
}
