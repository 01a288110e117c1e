import Testing
import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage
import VarveTestSupport

@testable import VarveRepository
@testable import VarveUpkeep

/// Objects with right names and checksums that are made to use up time or memory.
@Suite struct HostileObjectTests {
    private let directory: TemporaryDirectory
    private let repository: Repository

    init() throws {
        directory = try TemporaryDirectory()
        repository = try TestRepository.create(at: directory.path)
    }

    /// - Returns: the reference under which it lies there.
    @discardableResult
    private func publish(manifest json: [UInt8], sequence: UInt64 = 1) throws -> SnapshotReference {
        var stored = [UInt8](repeating: 0, count: Compressor.bound(json.count))
        let length = try json.withUnsafeBytes { json in
            try stored.withUnsafeMutableBytes { try Compressor(level: 9).compress(json, into: $0) }
        }
        stored.removeLast(stored.count - (length ?? 0))
        let reference = SnapshotReference(
            sequence: sequence, hash: stored.withUnsafeBytes { Hasher.name(of: $0) })
        try stored.withUnsafeBytes {
            try repository.storage.publish(ObjectName(.manifest, reference.name), [$0])
        }
        return reference
    }

    /// Some kilobytes that decompress to a document with millions of values, in several shapes.
    @Test(arguments: [
        "[],", "{},", "0,", "\"\",", #"{"path":"","kind":"other"},"#,
        #"{"code":"","message":"","taints":false},"#,
    ])
    func aManifestThatExpands(_ element: String) throws {
        let piece = [UInt8](String(repeating: element, count: 1000).utf8)
        var json = Array(#"{"format":1,"files":["#.utf8)
        while json.count < 8 << 20 { json += piece }
        json.removeLast()
        json += Array("]}".utf8)
        let reference = try publish(manifest: json)
        let error = expect(.corrupt) { try repository.manifests.read(reference) }
        // It is refused for what it would take, before that is taken.
        let isForItsSize = ["values", "once decoded"].contains { error?.message.contains($0) == true }
        #expect(isForItsSize, "\(String(describing: error))")
        let report = try Verifier(repository).verifyContent()
        #expect(report.findings.map(\.text) == ["manifests/\(reference.name)"])
    }

    /// The control: many files with what each of them has are read.
    @Test func aLargeManifestIsRead() throws {
        var random = SeededRandom()
        let attributes = Manifest.Attributes(mode: 0o600, user: 0, group: 0, modified: Timestamp(seconds: 1))
        let files = (0..<5000).map { number in
            Manifest.StoredFile(
                path: "data/__dbq.queue.\(number)", kind: .database, size: 4096, attributes: attributes,
                map: Hex.encode(random.bytes(32)), database: nil, log: nil)
        }
        let time = Timestamp(seconds: 1)
        let manifest = Manifest(
            repository: repository.id.description, sequence: 1, previous: nil, tool: "test", host: "test",
            started: time, finished: time, environment: nil, recovery: nil, files: files, directories: [],
            warnings: [], statistics: Manifest.Statistics())
        let reference = try repository.manifests.publish(manifest)
        #expect(try repository.manifests.read(reference) == manifest)
    }

    /// Six nodes that say that a file has 2^49 bytes: each level refers to the one node below 256 times. It is followed
    /// in no time, a copy of it in which one extent is missing too, and both verifications can be interrupted.
    @Test(.timeLimit(.minutes(1)), arguments: [true, false]) func anAliasedMap(_ isWhole: Bool) throws {
        let writer = try RepositoryWriter(repository)
        let blobs = GoldenBlobs(writer)
        let extent = [UInt8](repeating: 7, count: 512)
        var child = try blobs.store(extent)
        if !isWhole { child = [UInt8](repeating: 1, count: 32).withUnsafeBytes { ContentID($0) } }
        var length: UInt64 = 512
        for level in 0...ExtentMapNode.maximumLevel {
            length *= 256
            let node = ExtentMapNode(
                level: level, extentSize: 512, length: length,
                children: [ContentID](repeating: child, count: 256))
            child = try blobs.store(node.encoded, .map)
        }
        let attributes = Manifest.Attributes(mode: 0o600, user: 0, group: 0, modified: Timestamp(seconds: 1))
        let files = (0..<20).map { number in
            Manifest.StoredFile(
                path: "f\(number)", kind: .other, size: length, attributes: attributes, map: child.hex,
                database: nil, log: nil)
        }
        let time = Timestamp(seconds: 1)
        _ = try writer.commit(
            Manifest(
                repository: repository.id.description, sequence: 1, previous: nil, tool: "test", host: "test",
                started: time, finished: time, environment: nil, recovery: nil, files: files, directories: [],
                warnings: [], statistics: Manifest.Statistics()))
        let report = try Verifier(repository).verifyContent()
        #expect(report.isGood == isWhole)
        #expect(report.losses.count == (isWhole ? 0 : files.count))
        let index = try repository.openIndex()
        let cancellation = Cancellation()
        cancellation.request()
        let walk = SnapshotWalk(index, repository, cancellation: cancellation)
        expect(.interrupted) { try walk.lost(of: files[0]) }
    }

    /// Ids become names of files, and paths are opened.
    @Test(arguments: ["/etc/evil", "../../evil", "", "C0", String(repeating: "g", count: 32)])
    func idsAreIds(_ id: String) throws {
        var copy = CopyDescription(
            repository: repository.id, copy: repository.copyID, label: "a", role: "primary")
        func read() throws -> CopyDescription {
            try JSON.decode(CopyDescription.self, from: try JSON.encode(copy), what: "copy.json")
        }
        // The control.
        #expect(try read() == copy)
        copy.copy = id
        expect(.corrupt) { try read() }
        var record = CopyRecord.first(repository.copy, at: repository.path)
        func readRecord() throws -> CopyRecord {
            try JSON.decode(CopyRecord.self, from: try JSON.encode(record), what: "a record")
        }
        #expect(try readRecord() == record)
        record.copy = id
        expect(.corrupt) { try readRecord() }
        record.copy = repository.copy.copy
        record.newestSnapshot = id
        expect(.corrupt) { try readRecord() }
        record.newestSnapshot = nil
        record.generation = .max
        expect(.corrupt) { try readRecord() }
    }

    @Test(arguments: ["/etc/passwd", "../x", "a/../b", "a//b", "a\0b", ""]) func pathsStayBeneath(
        _ path: String
    ) throws {
        let attributes = Manifest.Attributes(mode: 0o600, user: 0, group: 0, modified: Timestamp(seconds: 1))
        let time = Timestamp(seconds: 1)
        func read(_ path: String) throws {
            let manifest = Manifest(
                repository: repository.id.description, sequence: 1, previous: nil, tool: "test", host: "test",
                started: time, finished: time, environment: nil, recovery: nil,
                files: [
                    Manifest.StoredFile(
                        path: path, kind: .other, size: 0, attributes: attributes, map: nil, database: nil,
                        log: nil)
                ], directories: [], warnings: [], statistics: Manifest.Statistics())
            let reference = try publish(manifest: try JSON.encode(manifest))
            _ = try repository.manifests.read(reference)
        }
        try read("a/b")
        expect(.corrupt) { try read(path) }
    }
}
