import Testing
import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveStorage
import VarveTestSupport
import VarveUpkeep

/// A backup into a damaged repository: what it notices of the damage it stores again, and says so.
@Suite struct DamagedParentTests {
    private static let extent = 512
    let bench: Bench
    /// Three leaves of the map, each of 256 extents.
    let old: [UInt8]
    let first: SnapshotReference

    init() throws {
        bench = try Bench()
        var random = SeededRandom(seed: 11)
        old = random.bytes(Self.extent * 700)
        first = try Self.backup(bench, old).snapshot
    }

    @discardableResult
    private static func backup(_ bench: Bench, _ bytes: [UInt8]) throws -> Archiver.Report {
        try bench.backup(ListedFiles.environment([ListedFile("a", bytes)]))
    }

    private func changed(_ extents: Int...) -> [UInt8] {
        var bytes = old
        for extent in extents { bytes[extent * Self.extent + 100] ^= 1 }
        return bytes
    }

    /// Turns a bit in the middle of the blob's payload.
    private func damage(_ id: ContentID) throws {
        for pack in try bench.packs {
            let name = try #require(ContentID(hex: pack))
            let storage = DirectoryStorage(bench.repository.path)
            let entries = try PackReader.directory(of: name, in: storage).entries
            guard let entry = entries.first(where: { $0.header.id == id }) else { continue }
            var bytes = try Bytes.read(bench.path(ofPack: pack))
            bytes[Int(entry.offset) + entry.header.length + Int(entry.header.storedLength) / 2] ^= 0x10
            return try Bytes.write(bytes, to: bench.path(ofPack: pack))
        }
        Issue.record("\(id) is in no pack")
    }

    private func id(_ extent: Int) -> ContentID {
        old[extent * Self.extent..<(extent + 1) * Self.extent].withUnsafeBytes { Hasher.id(of: $0, .data) }
    }

    /// Of the map node above an extent.
    private func leaf(above extent: Int) throws -> ContentID {
        let manifest = try bench.repository.manifests.read(first)
        let reader = BlobReader(
            index: try bench.repository.openIndex(), storage: DirectoryStorage(bench.repository.path))
        var map = try ExtentMapReader(try #require(manifest.files.first), reader: reader)
        var last = ContentID.zero
        while let next = try map.next(visit: { last = $0 }) {
            if next.offset == UInt64(extent * Self.extent) { return last }
        }
        throw VarveError(.invalid, "no extent \(extent)")
    }

    private func content() throws -> VerificationReport {
        try Verifier(try Repository.open(bench.repository.path)).verifyContent()
    }

    private func expectRestored(_ bytes: [UInt8], _ snapshot: SnapshotReference, _ name: String) throws {
        try bench.expectRestored([ListedFile("a", bytes)], at: try bench.restore(snapshot, to: name))
    }

    /// The control of all that follows.
    @Test func whatIsWholeIsNotStoredAgain() throws {
        let second = try Self.backup(bench, changed(10, 300))
        #expect(second.manifest.warnings.isEmpty)
        #expect(second.manifest.statistics.newExtents == 2)
        #expect(try bench.verify().isGood)
    }

    /// It is the same in the new snapshot: that the parent's can't be read is seen in time.
    @Test func aDamagedNodeOfTheMapIsStoredAgain() throws {
        try damage(try leaf(above: 300))
        expect(.corrupt) { try expectRestored(old, first, "before") }
        #expect(try content().losses.map(\.snapshot) == [first.description])

        let bytes = changed(10)
        let second = try Self.backup(bench, bytes)
        #expect(second.manifest.warnings.map(\.code) == ["repository-damaged"])
        #expect(second.manifest.tainted)
        #expect(second.manifest.statistics.newExtents == 1)
        try expectRestored(bytes, second.snapshot, "second")
        // With it the first one is whole again, too; the damaged bytes are still named.
        try expectRestored(old, first, "first")
        #expect(try !Verifier(bench.repository).verifyMedia().isGood)
        #expect(try content().losses.isEmpty)
        #expect(try !content().findings.isEmpty)
        // The order of tables and packs decides nothing.
        try bench.removeIndexes()
        try expectRestored(bytes, second.snapshot, "without index")
        let third = try Self.backup(bench, bytes)
        #expect(third.manifest.statistics.storedBytes == 0 && third.manifest.warnings.isEmpty)
        try expectRestored(bytes, third.snapshot, "third")
    }

    /// The extent that a new one is compared with is damaged, and what was in it is now elsewhere in the file.
    @Test func aDamagedExtentIsStoredAgain() throws {
        try damage(id(300))
        var bytes = changed(300)
        let moved = old[300 * Self.extent..<301 * Self.extent]
        bytes.replaceSubrange(600 * Self.extent..<601 * Self.extent, with: moved)
        let second = try Self.backup(bench, bytes)
        #expect(second.manifest.warnings.map(\.code) == ["repository-damaged"])
        #expect(second.manifest.statistics.newExtents == 2)
        try expectRestored(bytes, second.snapshot, "second")
        try expectRestored(old, first, "first")
        let report = try content()
        #expect(report.losses.isEmpty && report.findings.contains { $0.range != nil })
    }

    /// What nobody reads is verification's business: the promise is no more than this.
    @Test func whatIsNotReadIsNotNoticed() throws {
        try damage(id(400))
        let second = try Self.backup(bench, changed(300))
        #expect(second.manifest.warnings.isEmpty)
        expect(.corrupt) { _ = try bench.restore(second.snapshot) }
        #expect(try content().losses.map(\.snapshot) == [first.description, second.snapshot.description])
    }

    /// A pack is lost, and with it what the deltas in another one are against: they count as absent, with the index
    /// and without.
    @Test(arguments: [false, true]) func deltasWithoutABaseAreStoredAgain(_ isIndexLost: Bool) throws {
        let bases = try bench.packs
        let bytes = changed(10, 300, 301, 302)
        let second = try Self.backup(bench, bytes)
        #expect(second.manifest.statistics.deltaExtents == 4)
        // And deltas on these.
        var last = bytes
        last[300 * Self.extent + 7] ^= 1
        #expect(try Self.backup(bench, last).manifest.statistics.deltaExtents == 1)
        for pack in bases { try Directory.removeFile(bench.path(ofPack: pack)) }
        if isIndexLost { try bench.removeIndexes() }

        let fourth = try Self.backup(bench, last)
        #expect(fourth.manifest.warnings.map(\.code) == ["repository-damaged"])
        #expect(fourth.manifest.statistics.newExtents == 700)
        #expect(fourth.manifest.statistics.deltaExtents == 0)
        try expectRestored(last, fourth.snapshot, "fourth")
        // Nothing is left to be done.
        let fifth = try Self.backup(bench, last)
        #expect(fifth.manifest.statistics.storedBytes == 0 && fifth.manifest.warnings.isEmpty)
        try bench.removeIndexes()
        try expectRestored(last, fifth.snapshot, "fifth")
    }
}
