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

/// What a damaged repository still gives, and what it says of the rest.
@Suite struct DamagedRepositoryTests {
    let bench: Bench
    let files: [ListedFile]
    let snapshot: SnapshotReference

    init() throws {
        bench = try Bench()
        var random = SeededRandom(seed: 3)
        files = ["a", "b", "c"].map { ListedFile($0, random.bytes(512 * 20)) }
        snapshot = try bench.backup(files).snapshot
    }

    private func entries() throws -> (pack: String, entries: [Pack.Entry]) {
        let pack = try #require(try bench.packs.first)
        let id = try #require(ContentID(hex: pack))
        return (pack, try PackReader.directory(of: id, in: DirectoryStorage(bench.repository.path)).entries)
    }

    private func damage(_ path: String, _ body: (inout [UInt8]) -> Void) throws {
        var bytes = try Bytes.read(path)
        body(&bytes)
        try Bytes.write(bytes, to: path)
    }

    @Test func theIndexCanBeLost() throws {
        let before = try bench.indexes
        try bench.removeIndexes()
        try bench.expectRestored(files, at: try bench.restore())
        #expect(try bench.verify().isGood)
        #expect(try bench.indexes.isEmpty, "reading writes nothing")
        #expect(try bench.backup(files).manifest.statistics.newExtents == 0)
        #expect(try bench.indexes == before, "the next backup writes the same table again")
    }

    @Test func aDamagedIndexIsNamedAndCostsNothing() throws {
        let name = try #require(try bench.indexes.first)
        let path = "\(bench.repository.path)/indexes/\(name)"
        let good = try Bytes.read(path)
        for at in stride(from: 0, to: good.count, by: 7) {
            var damaged = good
            damaged[at] ^= 0xFF
            try Bytes.write(damaged, to: path)
            let findings = try Verifier(try Repository.open(bench.repository.path)).verifyContent().findings
            #expect(findings.map(\.text) == ["indexes/\(name)"], "byte \(at)")
            let target = try bench.restore(to: "restored-\(at)")
            try bench.expectRestored(files, at: target)
            try Directory.removeTree(target)
        }
        for length in [0, 1, 63, 64, good.count - 1] {
            try Bytes.write(Array(good.prefix(length)), to: path)
            try bench.expectRestored(files, at: try bench.restore(to: "cut-\(length)"))
        }
        // Set aside by the next backup, which writes a good one.
        try bench.backup(files)
        #expect(try bench.verify().isGood)
        #expect(try Directory.list("\(bench.repository.path)/quarantine").count == 1)
    }

    @Test func anIndexThatListsLostPacksIsNoHarm() throws {
        let (pack, _) = try entries()
        try Directory.removeFile(bench.path(ofPack: pack))
        let report = try Verifier(try Repository.open(bench.repository.path)).verifyContent()
        #expect(Set(report.losses.map(\.path)) == ["a", "b", "c"])
        // Everything is stored again.
        #expect(try bench.backup(files).manifest.statistics.newExtents == 60)
        try bench.expectRestored(files, at: try bench.restore(snapshot))
        #expect(try bench.verify().isGood)
    }

    /// With or without index: only what lies in the damaged region is lost, and it is named.
    @Test(arguments: [false, true]) func aDamagedRegionIsLocated(_ hasIndex: Bool) throws {
        let (pack, entries) = try entries()
        if !hasIndex { try bench.removeIndexes() }
        // Extents 23 and 24 of the stream: 3 and 4 of file b.
        let data = entries.filter { $0.header.type == .data }
        let hit = data[23...24]
        try damage(bench.path(ofPack: pack)) { bytes in
            for entry in hit {
                for at in Int(entry.offset) + 10..<Int(entry.offset) + 100 { bytes[at] ^= 0x55 }
            }
        }
        let report = try Verifier(try Repository.open(bench.repository.path)).verifyContent()
        #expect(report.losses.map(\.snapshot) == [snapshot.description])
        #expect(report.losses.first?.path == "b" && report.losses.first?.range == 512 * 3..<512 * 5)
        for entry in hit {
            let range = UInt64(entry.offset)..<UInt64(Int(entry.offset) + entry.header.totalLength)
            #expect(report.findings.contains { $0.text == "packs/\(pack)" && $0.range == range })
        }
        let error = expect(.corrupt) { _ = try bench.restore() }
        #expect("\(error?.message ?? "") \(error?.location ?? "")".contains(pack) || error?.location == "b")
        #expect(try FileStatus.of(bench.directory.join("restored")) == nil)
        let target = try bench.restore(to: "others", only: ["a", "c"])
        try bench.expectRestored(files.filter { $0.path != "b" }, at: target)
    }

    /// Directory and region both: the scan goes on at the next blob.
    @Test func aDamagedDirectoryAndRegion() throws {
        let (pack, entries) = try entries()
        try bench.removeIndexes()
        let hit = entries.filter { $0.header.type == .data }[45]
        try damage(bench.path(ofPack: pack)) { bytes in
            bytes[bytes.count - 40] ^= 1
            for at in Int(hit.offset)..<Int(hit.offset) + 60 { bytes[at] = 0 }
        }
        let report = try Verifier(try Repository.open(bench.repository.path)).verifyContent()
        #expect(report.losses.map(\.snapshot) == [snapshot.description])
        #expect(report.losses.first?.path == "c" && report.losses.first?.range == 512 * 5..<512 * 6)
        #expect(report.findings.contains { $0.range?.lowerBound == UInt64(hit.offset) })
        try bench.expectRestored(Array(files[..<2]), at: try bench.restore(only: ["a", "b"]))
    }

    @Test func aDamagedDirectoryAloneCostsNothing() throws {
        let (pack, _) = try entries()
        for hasIndex in [true, false] {
            if !hasIndex { try bench.removeIndexes() }
            try damage(bench.path(ofPack: pack)) { $0[$0.count - 40] ^= 1 }
            let report = try Verifier(try Repository.open(bench.repository.path)).verifyContent()
            #expect(report.findings.map(\.text) == ["packs/\(pack)"] && report.losses.isEmpty)
            try bench.expectRestored(files, at: try bench.restore(to: "restored-\(hasIndex)"))
            try damage(bench.path(ofPack: pack)) { $0[$0.count - 40] ^= 1 }
        }
    }

    @Test func aLostShardIsNamed() throws {
        let packs = Set(try bench.packs.map { $0.prefix(2) })
        let shard = try #require((0..<256).map { Hex.encode([UInt8($0)]) }.first { !packs.contains($0[...]) })
        #expect(try Verifier(bench.repository).verifyMedia().isGood)
        try Directory.removeEmpty("\(bench.repository.path)/packs/\(shard)")
        let media = try Verifier(try Repository.open(bench.repository.path)).verifyMedia()
        #expect(media.findings.map(\.text) == ["packs/\(shard)"])
    }

    /// A restore would find it: blobs that are whole, in places where a file can't have them.
    @Test func blobsInWrongPlacesAreLosses() throws {
        let manifest = try bench.backup([ListedFile("tail", [UInt8](repeating: 7, count: 700))]).manifest
        let reader = BlobReader(
            index: try bench.repository.openIndex(), storage: DirectoryStorage(bench.repository.path))
        var map = try ExtentMapReader(try #require(manifest.files.first), reader: reader)
        let (full, tail) = (try #require(try map.next()).id, try #require(try map.next()).id)
        let root = try #require(manifest.files.first?.map.flatMap { ContentID(hex: $0) })
        // The right order, for a control; a tail where a full extent must be; the reverse; a node of a map.
        let orders = [[full, tail], [tail, tail], [full, full], [root, tail]]
        for (number, ids) in orders.enumerated() {
            let writer = try RepositoryWriter(bench.repository)
            var builder = ExtentMapBuilder(extentSize: 512)
            for (id, length) in zip(ids, [512, 188] as [UInt64]) {
                try builder.append(id, length: length) { (node) throws(VarveError) in try store(node, writer)
                }
            }
            var hostile = manifest
            hostile.sequence += UInt64(number) + 1
            hostile.files[0].map = try builder.finish { (node) throws(VarveError) in try store(node, writer)
            }?.hex
            let reference = try writer.commit(hostile)
            let losses = try Verifier(bench.repository).verifyContent().losses
            #expect(losses.contains { $0.snapshot == reference.description } == (number > 0), "\(number)")
        }
    }

    private func store(_ node: ExtentMapNode, _ writer: RepositoryWriter) throws(VarveError) -> ContentID {
        let bytes = node.encoded
        let id = bytes.withUnsafeBytes { Hasher.id(of: $0, .map) }
        var room = [UInt8](repeating: 0, count: BlobEncoder.bound(bytes.count))
        let header = try bytes.withBytes { (bytes) throws(VarveError) in
            try room.withMutableBytes { (room) throws(VarveError) in
                try BlobEncoder(level: 3).encode(bytes, id: id, type: .map, into: room)
            }
        }
        _ = try room.withBytes { (room) throws(VarveError) in
            try writer.append(header, UnsafeRawBufferPointer(rebasing: room.prefix(header.totalLength)))
        }
        return id
    }

    @Test func aDamagedManifestLosesItsSnapshotOnly() throws {
        let second = try bench.backup(files + [ListedFile("d", [4])])
        let name = second.snapshot.name
        try damage("\(bench.repository.path)/manifests/\(name)") { $0[20] ^= 1 }
        let findings = try Verifier(try Repository.open(bench.repository.path)).verifyContent().findings
        #expect(findings.map(\.text) == ["manifests/\(name)"])
        expect(.corrupt) { _ = try bench.restore(second.snapshot, to: "second") }
        try bench.expectRestored(files, at: try bench.restore(snapshot))
    }

    /// Data that is damaged is stored again when it comes again, once the damage is out of the way.
    @Test func aPackThatWasSetAsideIsWrittenAgain() throws {
        let (pack, _) = try entries()
        try damage(bench.path(ofPack: pack)) { $0[300] ^= 1 }
        try DirectoryStorage(bench.repository.path).setAside(ObjectName(.pack, pack))
        try bench.backup(files)
        #expect(try bench.packs == [pack])
        #expect(try bench.verify().isGood)
    }
}
