import Glibc
import Testing
import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport
import VarveUpkeep

/// What users have on their disks must be read for ever: repositories that were written once.
@Suite struct GoldenRepositoryTests {
    static let fixture: String = {
        let source = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return source.dropLast(3).joined(separator: "/") + "/Fixtures/repositories/format-1"
    }()

    private struct Digest: Equatable {
        var hash: String
        var mode: UInt32
        var size: Int
        var path: String
    }

    /// A copy, with the empty directories that Git does not keep.
    static func copy() throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        for name in ["varve.json", "copy.json", "packs", "indexes", "manifests"] {
            let from = Path.join(fixture, name)
            if try FileStatus.of(from)?.kind == .directory {
                try Bytes.copyTree(from, to: directory.join(name))
            } else {
                try Bytes.write(try Bytes.read(from), to: directory.join(name))
            }
        }
        try TestRepository.completeDirectories(of: directory.path)
        return directory
    }

    private func digests() throws -> [Digest] {
        let text = String(decoding: try Bytes.read(Path.join(Self.fixture, "digests.txt")), as: UTF8.self)
        return try text.split(separator: "\n").map { line in
            let fields = line.split(separator: " ", maxSplits: 3).map(String.init)
            let mode = try #require(UInt32(fields[1], radix: 8))
            return Digest(hash: fields[0], mode: mode, size: try #require(Int(fields[2])), path: fields[3])
        }
    }

    private func digests(of target: String) throws -> [Digest] {
        try Bytes.files(beneath: target).map { path in
            let bytes = try Bytes.read(Path.join(target, path))
            let status = try #require(try FileStatus.of(Path.join(target, path)))
            return Digest(
                hash: bytes.withUnsafeBytes { Hasher.name(of: $0).hex }, mode: status.mode, size: bytes.count,
                path: path)
        }
    }

    @Test(arguments: [true, false]) func restoresBitForBit(_ hasIndex: Bool) throws {
        let directory = try Self.copy()
        if !hasIndex { try Directory.removeTree(directory.join("indexes")) }
        try TestRepository.completeDirectories(of: directory.path)
        let repository = try Repository.open(directory.path)
        let restorer = Restorer(repository: repository)
        let target = directory.join("restored")
        let plan = try restorer.plan(try repository.find("latest"), target: target)
        #expect(plan.notes.count == 1, "it is tainted")
        try restorer.restore(plan)
        #expect(try digests(of: target) == digests())
        for (path, bytes) in GoldenRepository.files {
            #expect(try Bytes.read(Path.join(target, path)) == bytes, "\(path)")
            #expect(
                try FileStatus.of(Path.join(target, path))?.modified
                    == Timestamp(seconds: 1_650_000_000, nanoseconds: 250_000_000))
        }
    }

    @Test func verifies() throws {
        let directory = try Self.copy()
        let repository = try Repository.open(directory.path)
        #expect(try Verifier(repository).verifyMedia().isGood)
        let report = try Verifier(repository).verifyContent()
        #expect(report.isGood && report.snapshots == 1)
    }

    /// All that the fixture is there to prove is in it.
    @Test func holdsEveryKindOfBlob() throws {
        let directory = try Self.copy()
        let repository = try Repository.open(directory.path)
        let pack = try #require(ContentID(hex: try TestRepository.packs(repository)[0]))
        let headers = try PackReader.directory(of: pack, in: repository.storage).entries.map(\.header)
        for encoding in BlobEncoding.allCases {
            #expect(headers.contains { $0.type == .data && $0.encoding == encoding }, "\(encoding)")
        }
        #expect(headers.count { $0.encoding == .delta } == 3)
        let deep = try #require(
            try repository.manifests.read(repository.find("1")).files.first { $0.path == "data/deep.db" })
        let reader = BlobReader(index: try repository.openIndex(), storage: repository.storage)
        let root = try reader.read(try #require(ContentID(hex: deep.map ?? "")), .map)
        #expect(try root.withUnsafeBytes { try ExtentMapNode($0) }.level == 1)
    }

    /// A writer goes on where the fixture ends.
    @Test func takesANewBackup() throws {
        let directory = try Self.copy()
        let repository = try Repository.open(directory.path)
        let files = GoldenRepository.files.filter { $0.path.hasSuffix(".db") }.map {
            ListedFile($0.path, $0.bytes)
        }
        let result = try Archiver(repository: repository).backup(ListedFiles(files), tool: "test")
        #expect(result.snapshot.sequence == 2 && result.manifest.statistics.newExtents == 0)
        #expect(try Verifier(repository).verifyContent().isGood)
    }

    /// Only for a new format, with `VARVE_WRITE_GOLDEN=DIRECTORY`: never over a fixture.
    @Test(.enabled(if: getenv("VARVE_WRITE_GOLDEN") != nil, "only for a new format"))
    func writesTheGoldenRepository() throws {
        let path = try #require(getenv("VARVE_WRITE_GOLDEN").map { String(cString: $0) })
        let repository = try GoldenRepository.create(at: path)
        let directory = try TemporaryDirectory()
        let restorer = Restorer(repository: repository)
        let target = directory.join("restored")
        try restorer.restore(try restorer.plan(try repository.find("latest"), target: target))
        let lines = try digests(of: target).map {
            "\($0.hash) \(String($0.mode, radix: 8)) \($0.size) \($0.path)\n"
        }
        try Bytes.write(Array(lines.joined().utf8), to: Path.join(path, "digests.txt"))
        try Directory.removeFile(Path.join(path, "lock"))
    }
}
