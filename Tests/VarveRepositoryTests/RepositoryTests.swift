import Testing
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveTestSupport

@Suite struct RepositoryTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func code(_ body: () throws -> Void) -> VarveError.Code? {
        do { try body() } catch let error as VarveError {
            // Whatever it is, a reader is told what to do.
            if error.hint == nil && error.code != .corrupt && error.code != .invalid { return nil }
            return error.code
        } catch { return nil }
        return nil
    }

    @Test func aSecondWriterIsRefusedWhileTheFirstIsOpen() throws {
        let repository = try TestRepository.create(at: directory.path)
        do {
            let first = try RepositoryWriter(repository)
            #expect(code { _ = try RepositoryWriter(repository) } == .locked)
            #expect(code { _ = try RepositoryWriter(try Repository.open(directory.path)) } == .locked)
            try first.flush()
        }
        // Readers were never in the way, and the lock is gone with its holder.
        _ = try RepositoryWriter(repository)
    }

    @Test func emptyMountPointsAndOtherDirectoriesAreToldApart() throws {
        #expect(code { _ = try Repository.open(directory.join("nowhere")) } == .noRepository)
        let empty = #expect(throws: VarveError.self) { _ = try Repository.open(directory.path) }
        #expect(empty?.code == .noRepository && empty?.hint?.contains("mounted") == true)
        try Bytes.write([1], to: directory.join("other"))
        #expect(code { _ = try Repository.open(directory.path) } == .noRepository)
        // Not one byte was written.
        #expect(try Directory.list(directory.path) == ["other"])
    }

    @Test func createNeverTakesAUsedDirectory() throws {
        try Bytes.write([1], to: directory.join("other"))
        #expect(code { _ = try Repository.create(at: directory.path) } == .invalid)
        #expect(try Directory.list(directory.path) == ["other"])
        let path = directory.join("new")
        let created = try Repository.create(at: path)
        #expect(code { _ = try Repository.create(at: path) } == .invalid)
        #expect(try Repository.open(path).id == created.id)
        // An init that was killed before varve.json is taken up again; another one begins anew.
        try Directory.removeFile(Path.join(path, "varve.json"))
        #expect(try Repository.create(at: path).id == created.id)
        try Directory.removeFile(Path.join(path, "varve.json"))
        var other = RepositoryDescription.Parameters()
        other.compressionLevel = 5
        #expect(try Repository.create(at: path, parameters: other).id != created.id)
    }

    @Test(
        arguments: [
            (0, 1 << 20, 3), (1 << 10, 1 << 20, 3), (100_000, 1 << 20, 3), (1 << 17, 1 << 10, 3),
            (1 << 17, 1 << 20, 0),
        ]
            as [(UInt32, UInt32, Int32)])
    func impossibleParametersAreRefused(_ extentSize: UInt32, _ packSize: UInt32, _ level: Int32) throws {
        let parameters = RepositoryDescription.Parameters(
            extentSize: extentSize, packSize: packSize, compressionLevel: level)
        #expect(
            code { _ = try Repository.create(at: directory.join("new"), parameters: parameters) } == .invalid)
        #expect(try Directory.list(directory.path).isEmpty)
    }

    /// `varve.json` is input too: a size of nothing must not divide by zero later.
    @Test(
        arguments: [
            (0, 1 << 20, 3), (1000, 1 << 20, 3), (1 << 31, 1 << 20, 3), (512, .max, 3), (512, 1 << 20, 99),
        ]
            as [(UInt32, UInt32, Int32)])
    func impossibleStoredParametersAreRefused(_ extentSize: UInt32, _ packSize: UInt32, _ level: Int32) {
        #expect(
            code {
                _ = try TestRepository.create(
                    at: directory.path, extentSize: extentSize, packSize: packSize, level: level)
            } == .corrupt)
    }

    @Test func snapshotsAreFoundByWhatPeopleType() throws {
        let repository = try GoldenRepository.create(at: directory.path)
        let only = try #require(try repository.manifests.list().first)
        for text in ["latest", "1", only.description, "1-\(only.hash.hex)"] {
            #expect(try repository.find(text) == only)
        }
        for text in ["2", "0", "", "-", "1-zz", "x", "99999999999999999999"] {
            #expect(code { _ = try repository.find(text) } == .missing, "'\(text)'")
        }
    }

    @Test func manifestNamesHaveOneSpelling() {
        let hash = String(repeating: "ab", count: 32)
        #expect(SnapshotReference(name: "0000000012-\(hash)")?.sequence == 12)
        for name in [
            "12-\(hash)", "00000000012-\(hash)", "0000000012-\(hash.uppercased())", "0000000012-\(hash)-",
            "-",
            "0000000012", "+000000012-\(hash)", "0000000012-\(hash.dropLast())",
        ] {
            #expect(SnapshotReference(name: name) == nil, "\(name)")
        }
    }

    /// Small tables are merged, so many backups leave few of them, and each still finds everything.
    @Test func tablesAreMerged() throws {
        let repository = try TestRepository.create(at: directory.path)
        var random = SeededRandom()
        var stored: [[UInt8]] = []
        for _ in 0..<40 {
            let writer = try RepositoryWriter(repository)
            let blobs = GoldenBlobs(writer)
            for _ in 0..<3 {
                stored.append(random.bytes(64))
                try blobs.store(stored[stored.count - 1])
            }
            try writer.flush()
        }
        #expect(try Directory.list(directory.join("indexes")).count <= 8)
        let reader = try repository.reader()
        for bytes in stored { #expect(try reader.read(dataID(bytes), .data) == bytes) }
    }
}
