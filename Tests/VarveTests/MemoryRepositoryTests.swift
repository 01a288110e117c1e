import Testing
import VarveFiles
import VarveFormat
import VarveOperations
import VarveStorage
import VarveTestSupport
import VarveUpkeep

@testable import VarveRepository

/// A copy need not be a directory: everything beneath a backup asks the storage.
@Suite struct MemoryRepositoryTests {
    @Test func aWholeRepositoryInMemory() throws {
        var random = SeededRandom()
        let directory = try TemporaryDirectory()
        let storage = MemoryStorage()
        let id = RepositoryID(random.bytes(RepositoryID.byteCount))
        try ChecksummedDocument.write(
            RepositoryDescription(repository: id, created: Clock.now(), parameters: .init()),
            to: RepositoryDescription.fileName, in: storage)
        try ChecksummedDocument.write(
            CopyDescription(
                repository: id, copy: RepositoryID(random.bytes(RepositoryID.byteCount)), label: "a",
                role: "primary"), to: CopyDescription.fileName, in: storage)
        let repository = try Repository(storage, IdentityDocuments(storage))
        let files = (0..<3).map { ListedFile("file-\($0)", random.bytes(700_000)) }
        for _ in 0..<2 {
            _ = try Archiver(repository: repository).backup(ListedFiles.environment(files), tool: "test")
        }
        #expect(try storage.holds(document: RepositoryIdentity.fileName), "the writer keeps it twice")
        #expect(try Verifier(repository).verifyContent().isGood)
        #expect(try Verifier(repository).verifyMedia().isGood)
        let snapshots = try repository.manifests.list()
        #expect(snapshots.count == 2)
        #expect(try repository.newestVerified(since: 0, snapshots) == snapshots.last)
        let restorer = Restorer(repository: repository)
        try restorer.restore(try restorer.plan(snapshots[1], target: directory.join("restored")))
        for file in files {
            #expect(try Bytes.read(directory.join("restored/\(file.path)")) == file.content)
        }
        // The control: a pack that is gone is found missing.
        let pack = try #require(storage.list(.pack).first)
        try storage.remove(ObjectName(.pack, pack))
        #expect(try !Verifier(repository).verifyContent().isGood)
    }
}
