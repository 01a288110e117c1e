import Testing
import VarveCapture
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport
import VarveUpkeep

/// A repository with extents of 512 bytes by default, and room beside it for what is restored.
final class Bench: Sendable {
    let directory: TemporaryDirectory
    let repository: Repository

    init(extentSize: UInt32 = 512, packSize: UInt32 = 1 << 20) throws {
        directory = try TemporaryDirectory()
        repository = try TestRepository.create(
            at: directory.join("repository"), extentSize: extentSize, packSize: packSize)
    }

    @discardableResult
    func backup(_ source: ListedFiles) throws -> Archiver.Report {
        try Archiver(repository: repository).backup(source, tool: "test")
    }

    @discardableResult
    func backup(_ files: [ListedFile]) throws -> Archiver.Report { try backup(ListedFiles(files)) }

    /// - Returns: the directory that holds it now.
    func restore(
        _ snapshot: SnapshotReference? = nil, to name: String = "restored", only paths: Set<String>? = nil
    ) throws -> String {
        let target = directory.join(name)
        // Opened anew: a restore knows nothing of the backup before.
        let restorer = Restorer(repository: try Repository.open(repository.path))
        var plan = try restorer.plan(try snapshot ?? repository.find("latest"), target: target)
        if let paths { plan.files.removeAll { !paths.contains($0.path) } }
        try restorer.restore(plan)
        return target
    }

    /// Bytes, modes and times of everything are as they were.
    func expectRestored(_ files: [ListedFile], at target: String) throws {
        #expect(try Bytes.files(beneath: target) == files.map(\.path).sorted())
        for file in files {
            let path = Path.join(target, file.path)
            // Not with ==, which would print megabytes.
            let isEqual = try Bytes.read(path) == file.content
            #expect(isEqual, "the content of \(file.path)")
            let status = try #require(try FileStatus.of(path))
            #expect(status.mode == file.attributes.mode, "\(file.path)")
            #expect(status.modified == file.attributes.modified, "\(file.path)")
        }
        let status = try #require(try FileStatus.of(target))
        #expect(status.mode == 0o750 && status.modified == Timestamp(seconds: 1_500_000_000))
    }

    func verify() throws -> VerificationReport {
        let repository = try Repository.open(repository.path)
        let media = try Verifier(repository).verifyMedia()
        #expect(media.isGood)
        return try Verifier(repository).verifyContent()
    }

    var packs: [String] { get throws { try TestRepository.packs(repository) } }
    func path(ofPack name: String) -> String { "\(repository.path)/packs/\(name.prefix(2))/\(name)" }
    var indexes: [String] { get throws { try Directory.list("\(repository.path)/indexes") } }

    func removeIndexes() throws {
        for name in try indexes { try Directory.removeFile("\(repository.path)/indexes/\(name)") }
    }
}
