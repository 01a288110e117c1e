import Glibc
import Testing
import VarveBlobs
import VarveCapture
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport
import VarveUpkeep

private let temporaryTimesCount: Bool = {
    guard let directory = try? TemporaryDirectory(), let status = try? FileStatus.of(directory.path) else {
        return false
    }
    return Mounting.identifier(of: directory.path, device: status.device) != nil
}()

/// A closed environment made by libdb, backed up offline again and again: what can't have changed is not read, and
/// whatever changed is, however well it hides.
@Suite(.enabled(if: temporaryTimesCount, "the temporary directory must be on XFS or ext4"))
struct UnreadFilesTests {
    private static let fixture: String = {
        let source = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return source.dropLast(3).joined(separator: "/") + "/Fixtures/bdb/plain-4096"
    }()
    private static let databases = ["btree.db", "hash.db", "heap.db", "queue.db", "recno.db", "several.db"]

    private let directory: TemporaryDirectory
    private let repository: Repository
    private var home: String { directory.join("home") }

    init() throws {
        directory = try TemporaryDirectory()
        repository = try TestRepository.create(at: directory.join("repository"), extentSize: 1 << 16)
        try Bytes.copyTree(Self.fixture, to: directory.join("home"))
    }

    /// Until the times of what was written are old enough to be believed.
    private func settle() { usleep(2_100_000) }

    private func backup(force: Bool = false) throws -> Manifest {
        let source = OfflineSource(EnvironmentOptions(home: home, readsAll: force))
        return try Archiver(repository: repository).backup(source, tool: "test").manifest
    }

    private func readings(_ manifest: Manifest) -> [String: String] {
        let databases = manifest.files.filter { $0.kind == .database }
        return Dictionary(uniqueKeysWithValues: databases.map { ($0.path, $0.reading ?? "nil") })
    }

    private func all(_ reading: Reading, but other: [String: Reading] = [:]) -> [String: String] {
        var readings = Dictionary(uniqueKeysWithValues: Self.databases.map { ($0, reading.rawValue) })
        for (path, reading) in other { readings[path] = reading.rawValue }
        return readings
    }

    /// What the newest snapshot gives back is what lies in the home.
    private func expectRestored() throws {
        let target = directory.join("restored")
        let restorer = Restorer(repository: try Repository.open(repository.path))
        try restorer.restore(try restorer.plan(try repository.find("latest"), target: target))
        for path in Self.databases {
            let isEqual = try Bytes.read(Path.join(target, path)) == Bytes.read(Path.join(home, path))
            #expect(isEqual, "\(path)")
        }
        try Directory.removeTree(target)
    }

    /// One byte in the middle of a page; the size stays.
    private func change(_ path: String) throws {
        let file = try File.open(updating: Path.join(home, path))
        var byte: [UInt8] = [0]
        _ = try byte.withUnsafeMutableBytes { try file.read(into: $0, at: 4096 + 2000) }
        byte[0] ^= 0x55
        try byte.withUnsafeBytes { try file.write($0, at: 4096 + 2000) }
        try file.close()
    }

    private func recorded(_ manifest: Manifest, _ path: String) throws -> Manifest.StoredFile {
        try #require(manifest.files.first { $0.path == path })
    }

    @Test func whatCannotHaveChangedIsTakenOver() throws {
        settle()
        let first = try backup()
        #expect(readings(first) == all(.new))
        let second = try backup()
        #expect(readings(second) == all(.unchanged))
        try expectRestored()

        // All but what a reader of the source alone could tell is as before.
        for path in Self.databases {
            var (before, after) = (try recorded(first, path), try recorded(second, path))
            let extents = (after.size + 65535) / 65536
            #expect(after.tally?.unread == .init(count: extents, bytes: after.size))
            (before.tally, after.tally, before.reading, after.reading) = (nil, nil, nil, nil)
            #expect(before == after)
        }
        var recovery = try #require(second.recovery)
        recovery.recoverableTo = try #require(first.recovery?.recoverableTo)
        #expect(recovery == first.recovery && recovery.largestPageLSN != nil)
        // Logs are read each time: their chain is the proof.
        let size = second.files.filter { $0.kind == .database }.reduce(0) { $0 + $1.size }
        #expect(second.statistics.unreadFiles == 6 && second.statistics.unreadBytes == size)
        #expect(second.statistics.sourceBytes == first.statistics.sourceBytes - size)
        #expect(second.files.filter { $0.kind == .log }.allSatisfy { $0.reading == nil && $0.log != nil })

        // From one that was not read itself, too; and by force.
        #expect(readings(try backup()) == all(.unchanged))
        let forced = try backup(force: true)
        #expect(readings(forced) == all(.forced) && forced.statistics.unreadFiles == nil)
        #expect(forced.statistics.sourceBytes == first.statistics.sourceBytes)
        #expect(forced.statistics.newExtents == 0)
        #expect(readings(try backup()) == all(.unchanged))
        #expect(try Verifier(repository).verifyContent().isGood)
    }

    /// In the same moment, with the same size: only that the times were too fresh can tell.
    @Test func freshTimesAreNotBelieved() throws {
        for path in Self.databases { try change(path) }
        let first = try backup()
        let second = try backup()
        #expect(readings(second) == all(.fresh))
        let (before, after) = (try recorded(first, "btree.db"), try recorded(second, "btree.db"))
        var identity = try #require(before.identity)
        identity.read = try #require(after.identity?.read)
        #expect(identity == after.identity, "all times are the same: a naive comparison would trust them")
        try change("btree.db")
        let third = try backup()
        #expect(["changed", "fresh"].contains(readings(third)["btree.db"]))
        try expectRestored()
        // Once they are old enough, one more reading makes them good.
        settle()
        _ = try backup()
        #expect(readings(try backup()) == all(.unchanged))
    }

    @Test func settingTheTimeBackDoesNotHelp() throws {
        settle()
        let first = try backup()
        let before = try #require(try recorded(first, "hash.db").identity)
        try change("hash.db")
        try File.open(updating: Path.join(home, "hash.db")).setModified(before.modified)
        let status = try #require(try FileStatus.of(Path.join(home, "hash.db")))
        #expect(
            status.modified == before.modified && status.size == before.size && status.inode == before.inode,
            "by these it is the same")
        #expect(readings(try backup()) == all(.unchanged, but: ["hash.db": .changed]))
        try expectRestored()
    }

    /// By a copy with the same time and other bytes, moved over it.
    @Test func aFileThatWasReplacedIsRead() throws {
        settle()
        let first = try backup()
        let path = Path.join(home, "queue.db")
        try Bytes.write(try Bytes.read(path), to: directory.join("copy"))
        try File.open(updating: directory.join("copy")).setModified(
            try #require(try recorded(first, "queue.db").identity).modified)
        try Directory.rename(directory.join("copy"), to: path)
        #expect(readings(try backup()) == all(.unchanged, but: ["queue.db": .replaced]))
        try expectRestored()
    }

    @Test func aRestoredEnvironmentIsRead() throws {
        settle()
        _ = try backup()
        let target = directory.join("again")
        let restorer = Restorer(repository: repository)
        try restorer.restore(try restorer.plan(try repository.find("latest"), target: target))
        try Directory.rename(home, to: directory.join("away"))
        try Directory.rename(target, to: home)
        let manifest = try backup()
        #expect(readings(manifest) == all(.replaced))
        #expect(manifest.statistics.newExtents == 0)
    }

    /// What the repository has lost is stored anew, as it would be without any of this; and a tainted snapshot vouches
    /// for nothing.
    @Test func whatIsNotInTheRepositoryIsRead() throws {
        settle()
        _ = try backup()
        let lost = try TestRepository.packs(repository)
        for pack in lost {
            try Directory.removeFile("\(repository.path)/packs/\(pack.prefix(2))/\(pack)")
        }
        let second = try backup()
        #expect(readings(second) == all(.lost))
        #expect(second.tainted && second.warnings.map(\.code) == ["repository-damaged"])
        try expectRestored()
        #expect(readings(try backup()) == all(.untracked))
        #expect(readings(try backup()) == all(.unchanged))
        #expect(try Verifier(repository).verifyContent().isGood)
    }

    /// The map is there, an extent of it is not.
    @Test func aSingleExtentThatIsLost() throws {
        settle()
        let first = try backup()
        let map = try recorded(first, "several.db")
        let reader = BlobReader(index: try repository.openIndex(), storage: repository.storage)
        var extents = try ExtentMapReader(map, reader: reader)
        let id = try #require(try extents.next()).id
        // The blobs of all maps into a pack of their own; then the first pack goes.
        let old = try TestRepository.packs(repository)
        try #require(old.count == 1)
        let maps = try first.files.compactMap { try $0.map.map { try #require(ContentID(hex: $0)) } }
        let nodes = try maps.map { ($0, try reader.read($0, .map)) }
        try Directory.removeFile("\(repository.path)/packs/\(old[0].prefix(2))/\(old[0])")
        try store(nodes)
        #expect(try repository.openIndex().find(id) == nil)
        let second = try backup()
        #expect(readings(second) == all(.lost))
        // Said, because something else may be lost that no backup looks at.
        #expect(second.warnings.allSatisfy { $0.code == "repository-damaged" })
        try expectRestored()
    }

    private func store(_ nodes: [(id: ContentID, bytes: [UInt8])]) throws {
        let writer = try RepositoryWriter(repository)
        let encoder = BlobEncoder(level: 3)
        for (id, bytes) in nodes {
            var room = [UInt8](repeating: 0, count: BlobEncoder.bound(bytes.count))
            let header = try room.withUnsafeMutableBytes { room in
                try bytes.withUnsafeBytes { try encoder.encode($0, id: id, type: .map, into: room) }
            }
            _ = try room.withUnsafeBytes {
                try writer.append(header, UnsafeRawBufferPointer(rebasing: $0[..<header.totalLength]))
            }
        }
        try writer.flush()
    }
}
