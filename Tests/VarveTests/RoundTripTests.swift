import Foundation
import Testing
import VarveFiles
import VarveFormat
import VarveOperations
import VarveTestSupport

@Suite struct RoundTripTests {
    private static let extent = 512

    /// Pseudorandom and the same for the same name.
    private static func random(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return random.bytes(count)
    }

    static let shapes: [ListedFile] = {
        let sizes = [0, 1, 511, 512, 513, 1024, 512 * 255, 512 * 256, 512 * 256 + 1, 512 * 257]
        var files = sizes.map { ListedFile("size-\($0)", random($0, seed: UInt64($0)), mode: 0o600) }
        files.append(ListedFile("zeros", [UInt8](repeating: 0, count: 512 * 300)))
        files.append(ListedFile("no-writes", writes: [], size: 512 * 300 + 7))
        files.append(
            ListedFile(
                "gaps",
                writes: [(100, random(50)), (151, random(1)), (5000, random(4096)), (200_000, random(10))],
                size: 300_001, mode: 0o444))
        files.append(ListedFile("tail", writes: [(0, random(513))], size: 512 * 600))
        files.append(ListedFile("deep/er/file", random(5), mode: 0o777))
        files.append(ListedFile("names/ümläut \n x", random(700)))
        // Equal content in other files, and an extent that repeats in one.
        files.append(ListedFile("copy", random(512 * 257, seed: 512 * 257)))
        files.append(ListedFile("repeats", Array((0..<400).map { _ in random(512, seed: 9) }.joined())))
        return files
    }()

    @Test(arguments: shapes.map(\.path)) func oneFile(_ path: String) throws {
        let files = Self.shapes.filter { $0.path == path }
        let bench = try Bench()
        try bench.backup(files)
        try bench.expectRestored(files, at: try bench.restore())
        #expect(try bench.verify().isGood)
    }

    @Test func allFilesTogether() throws {
        let bench = try Bench()
        try bench.backup(Self.shapes)
        try bench.expectRestored(Self.shapes, at: try bench.restore())
        #expect(try bench.verify().isGood)
    }

    /// Three levels of map: more than 256 times 256 extents, most of them holes, with data at the seams.
    @Test func moreThan65536Extents() throws {
        let places = [0, 1, 255, 256, 257, 511, 65_535, 65_536, 65_537, 70_000].map {
            UInt64($0 * Self.extent)
        }
        let file = ListedFile(
            "sparse", writes: places.map { ($0, Self.random(Self.extent, seed: $0 + 1)) },
            size: 70_100 * 512 + 3)
        let bench = try Bench()
        let result = try bench.backup([file])
        #expect(result.manifest.statistics.newExtents == 10)
        try bench.expectRestored([file], at: try bench.restore())
        // Holes stay holes.
        let blocks = try FileManager.default.attributesOfItem(atPath: bench.directory.join("restored/sparse"))
        #expect((blocks[.size] as? Int) == Int(file.size))
        #expect(try bench.verify().isGood)
    }

    /// Every extent is different: data is stored in many packs.
    @Test func manyDifferentExtents() throws {
        var bytes = [UInt8](repeating: 0, count: 6_600 * 512)
        bytes.withUnsafeMutableBytes { buffer in
            for extent in 0..<6_600 {
                buffer.storeBytes(of: UInt32(extent + 1), toByteOffset: extent * 512, as: UInt32.self)
            }
        }
        let file = ListedFile("many", bytes)
        let bench = try Bench(packSize: 16 << 10)
        #expect(try bench.backup([file]).manifest.statistics.newExtents == 6_600)
        #expect(try bench.packs.count > 3)
        try bench.expectRestored([file], at: try bench.restore())
        // Taken twice, with tables merged in between, nothing is new.
        #expect(try bench.backup([file]).manifest.statistics.newExtents == 0)
    }

    /// A full node of a map is 8 KiB, much longer than these extents: a pack that is nearly full must have room for it.
    @Test func aMapNodeLongerThanAnExtent() throws {
        let bench = try Bench(packSize: 16 << 10)
        let file = ListedFile("a", Self.random(256 * Self.extent))
        try bench.backup([file])
        try bench.expectRestored([file], at: try bench.restore())
    }

    /// Writes of any length at any gap: seeded.
    @Test func randomWrites() throws {
        var random = SeededRandom()
        let files = (0..<20).map { number -> ListedFile in
            var writes: [(offset: UInt64, bytes: [UInt8])] = []
            var end: UInt64 = 0
            for _ in 0..<Int.random(in: 0...30, using: &random) {
                let gap = Bool.random(using: &random) ? 0 : UInt64.random(in: 0...3000, using: &random)
                let bytes = random.bytes(Int.random(in: 0...2000, using: &random))
                writes.append((end + gap, bytes))
                end += gap + UInt64(bytes.count)
            }
            return ListedFile(
                "f\(number)", writes: writes, size: end + UInt64.random(in: 0...2000, using: &random))
        }
        let bench = try Bench()
        try bench.backup(files)
        try bench.expectRestored(files, at: try bench.restore())
        #expect(try bench.verify().isGood, "seed \(random.seed)")
    }

    @Test func theSameAgainAddsNothing() throws {
        let bench = try Bench()
        try bench.backup(Self.shapes)
        let (packs, indexes) = (try bench.packs, try bench.indexes)
        let again = try bench.backup(Self.shapes)
        #expect(again.manifest.statistics.newExtents == 0 && again.manifest.statistics.storedBytes == 0)
        #expect(again.snapshot.sequence == 2)
        #expect(try bench.packs == packs)
        #expect(try bench.indexes == indexes)
        try bench.expectRestored(Self.shapes, at: try bench.restore(again.snapshot))
    }

    @Test(arguments: [0, 511, 512, 70_000, 512 * 257 - 1]) func aChangedByteAddsOneExtent(_ at: Int) throws {
        let bench = try Bench()
        var bytes = Self.random(512 * 257)
        let first = try bench.backup([ListedFile("a", bytes)])
        let before = bytes
        bytes[at] ^= 1
        let second = try bench.backup([ListedFile("a", bytes)])
        #expect(second.manifest.statistics.newExtents == 1 && second.manifest.statistics.newBytes == 512)
        try bench.expectRestored(
            [ListedFile("a", before)], at: try bench.restore(first.snapshot, to: "first"))
        try bench.expectRestored(
            [ListedFile("a", bytes)], at: try bench.restore(second.snapshot, to: "second"))
    }

    /// A negative control for the comparison itself.
    @Test func aDifferenceWouldShow() throws {
        let bench = try Bench()
        try bench.backup([ListedFile("a", [1, 2, 3])])
        let target = try bench.restore()
        withKnownIssue { try bench.expectRestored([ListedFile("a", [1, 2, 4])], at: target) }
    }

    /// Which blob lies in which pack depends on the input alone.
    @Test func timingLeavesNoTrace() throws {
        let expected = try { () -> [String] in
            let bench = try Bench()
            try bench.backup(Self.shapes + [ListedFile("big", Self.random(5 << 20, seed: 77))])
            return try bench.packs
        }()
        #expect(expected.count >= 5)
        for round in 0..<3 {
            let bench = try Bench()
            var files = Self.shapes + [ListedFile("big", Self.random(5 << 20, seed: 77))]
            // The same bytes in other pieces.
            var random = SeededRandom()
            files = files.map { file in
                var file = file
                file.writes = file.writes.flatMap { write -> [(offset: UInt64, bytes: [UInt8])] in
                    let cut = Int.random(in: 0...write.bytes.count, using: &random)
                    return [
                        (write.offset, Array(write.bytes[..<cut])),
                        (write.offset + UInt64(cut), Array(write.bytes[cut...])),
                    ]
                }
                return file
            }
            var source = ListedFiles(files)
            source.pause = { usleep(UInt32.random(in: 0...3000) * UInt32(round)) }
            try bench.backup(source)
            #expect(try bench.packs == expected, "seed \(random.seed)")
        }
    }

    @Test func aSourceThatFailsLeavesTheSnapshotsAsTheyWere() throws {
        let bench = try Bench()
        let first = try bench.backup([ListedFile("a", Self.random(9999))])
        // Writes that go backwards, a size that was exceeded, a page that no extent holds.
        var backwards = ListedFile("b", writes: [(512, [1]), (0, [2])], size: 1000)
        expect(.invalid) { try bench.backup([ListedFile("c", [9]), backwards]) }
        backwards.writes = [(0, [1, 2, 3])]
        backwards.size = 2
        expect(.invalid) { try bench.backup([backwards]) }
        backwards.size = 3
        backwards.unit = 4096
        expect(.invalid) { try bench.backup([backwards]) }
        #expect(try bench.repository.manifests.list() == [first.snapshot])
        #expect(try bench.verify().isGood)
        try bench.backup([ListedFile("c", [9])])
    }

    @Test func cancelledBackupsAndRestores() throws {
        let bench = try Bench()
        let files = [ListedFile("a", Self.random(99_999))]
        let cancellation = Cancellation()
        cancellation.request()
        expect(.interrupted) {
            try Archiver(repository: bench.repository, cancellation: cancellation)
                .backup(ListedFiles(files), tool: "test")
        }
        try bench.backup(files)
        let restorer = Restorer(repository: bench.repository, cancellation: cancellation)
        let target = bench.directory.join("restored")
        let plan = try restorer.plan(try bench.repository.find("latest"), target: target)
        expect(.interrupted) { try restorer.restore(plan) }
        // Visibly incomplete, and cleared away by the next.
        #expect(try FileStatus.of(target) == nil)
        #expect(try FileStatus.of(target + ".varve-incomplete") != nil)
        try bench.expectRestored(files, at: try bench.restore())
        #expect(try FileStatus.of(target + ".varve-incomplete") == nil)
    }
}
