import Testing
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveTestSupport

@Suite struct RepositoryTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// Whatever it is, a reader is told what to do.
    private func refuses<R>(
        _ code: VarveError.Code, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () throws -> R
    ) {
        let error = expect(code, comment, sourceLocation: sourceLocation, body)
        #expect(error?.hint != nil || code == .corrupt || code == .invalid, sourceLocation: sourceLocation)
    }

    @Test func aSecondWriterIsRefusedWhileTheFirstIsOpen() throws {
        let repository = try TestRepository.create(at: directory.path)
        do {
            let first = try RepositoryWriter(repository)
            refuses(.locked) { _ = try RepositoryWriter(repository) }
            refuses(.locked) { _ = try RepositoryWriter(try Repository.open(directory.path)) }
            try first.flush()
        }
        // Readers were never in the way, and the lock is gone with its holder.
        _ = try RepositoryWriter(repository)
    }

    @Test func emptyMountPointsAndOtherDirectoriesAreToldApart() throws {
        refuses(.noRepository) { _ = try Repository.open(directory.join("nowhere")) }
        let empty = expect(.noRepository) { _ = try Repository.open(directory.path) }
        #expect(empty?.hint?.contains("mount its disk") == true)
        try Bytes.write([1], to: directory.join("other"))
        refuses(.noRepository) { _ = try Repository.open(directory.path) }
        // Not one byte was written.
        #expect(try Directory.list(directory.path) == ["other"])
    }

    @Test func createNeverTakesAUsedDirectory() throws {
        try Bytes.write([1], to: directory.join("other"))
        refuses(.invalid) { _ = try Repository.create(at: directory.path) }
        #expect(try Directory.list(directory.path) == ["other"])
        let path = directory.join("new")
        let created = try Repository.create(at: path)
        refuses(.invalid) { _ = try Repository.create(at: path) }
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
        refuses(.invalid) { _ = try Repository.create(at: directory.join("new"), parameters: parameters) }
        #expect(try Directory.list(directory.path).isEmpty)
    }

    /// `varve.json` is input too: a size of nothing must not divide by zero later.
    @Test(
        arguments: [
            (0, 1 << 20, 3), (1000, 1 << 20, 3), (1 << 31, 1 << 20, 3), (512, .max, 3), (512, 1 << 20, 99),
        ]
            as [(UInt32, UInt32, Int32)])
    func impossibleStoredParametersAreRefused(_ extentSize: UInt32, _ packSize: UInt32, _ level: Int32) {
        refuses(.corrupt) {
            _ = try TestRepository.create(
                at: directory.path, extentSize: extentSize, packSize: packSize, level: level)
        }
    }

    @Test func snapshotsAreFoundByWhatPeopleType() throws {
        let repository = try GoldenRepository.create(at: directory.path)
        let only = try #require(try repository.manifests.list().first)
        for text in ["latest", "1", only.description, "1-\(only.hash.hex)"] {
            #expect(try repository.find(text) == only)
        }
        for text in ["2", "0", "", "-", "1-zz", "x", "99999999999999999999"] {
            refuses(.missing, "'\(text)'") { _ = try repository.find(text) }
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
