import Testing
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveTestSupport
import VarveUpkeep

/// Summaries spare reading manifests, and nothing else: whatever is in them, the manifests' names tell which
/// snapshots there are.
@Suite struct SummaryTests {
    let directory: TemporaryDirectory
    let repository: Repository

    init() throws {
        directory = try TemporaryDirectory()
        repository = try TestRepository.create(at: directory.path)
    }

    @discardableResult
    private func publish(_ sequence: UInt64, home: String = "/srv/db") throws -> SnapshotReference {
        let here = Manifest.Environment.PlacedDirectory(original: ".", restored: ".", configured: true)
        return try repository.manifests.publish(
            Manifest(
                repository: repository.id.description, sequence: sequence, previous: nil, tool: "test",
                host: "host", started: Timestamp(seconds: 5),
                finished: Timestamp(seconds: 1_700_000_000 + Int64(sequence)),
                environment: Manifest.Environment(
                    home: home, mode: .offline, envid: nil, dataDirectories: [here], logDirectory: here,
                    encrypted: false, registered: false, only: nil),
                recovery: nil, files: [], directories: [], warnings: [], statistics: .init()))
    }

    /// By the manifests alone.
    private func expected() throws -> [SnapshotSummary] {
        try repository.manifests.list().map {
            SnapshotSummary(try repository.manifests.read($0), name: $0.hash)
        }
    }

    /// The list, and how many manifests were read for it.
    private func list() throws -> (summaries: [SnapshotSummary], reads: Int) {
        let storage = WatchedStorage(repository.storage)
        let summaries = try ManifestStore(storage: storage, repository: repository.id).summaries()
        return (summaries, storage.counts(.manifest).reads)
    }

    private func tables() throws -> [String] { try Directory.list(directory.join("summaries")) }

    @Test func manifestsNeedNotBeRead() throws {
        for sequence in 1...60 as ClosedRange<UInt64> { try publish(sequence) }
        let expected = try expected()
        #expect(expected.count == 60)
        #expect(try list() == (expected, 0))
        // Few files, however many backups.
        #expect(try tables().count <= 6)
        #expect(try Verifier(repository).verifyMedia().isGood)
        // Control: without them each is read. And nothing else changes.
        try Directory.removeTree(directory.join("summaries"))
        #expect(try list() == (expected, 60))
        // The next commit catches up.
        try publish(61)
        #expect(try tables().count == 1)
        #expect(try list() == (self.expected(), 0))
    }

    @Test func damagedSummariesHideAndInventNothing() throws {
        for sequence in 1...3 as ClosedRange<UInt64> { try publish(sequence) }
        let expected = try expected()
        let path = directory.join("summaries/\(try #require(try tables().first))")
        let good = try Bytes.read(path)
        for at in good.indices {
            var damaged = good
            damaged[at] ^= 1 << (at % 8)
            try Bytes.write(damaged, to: path)
            #expect(try repository.manifests.summaries() == expected, "byte \(at)")
        }
        for length in 0..<good.count where length % 7 == 0 {
            try Bytes.write(Array(good.prefix(length)), to: path)
            #expect(try repository.manifests.summaries() == expected, "\(length) bytes")
        }
        #expect(try Verifier(repository).verifyMedia().findings.count == 1)
        #expect(try Verifier(repository).verifyContent().findings.count == 1)
        // A writer puts it aside and makes another.
        try publish(4)
        #expect(try Directory.list(directory.join("quarantine")).count == 1)
        #expect(try Verifier(repository).verifyMedia().isGood)
        #expect(try list() == (self.expected(), 0))
    }

    /// Rightly named, and wrong: of a manifest that is not there, and not of one that is; and two for one snapshot.
    @Test func forgedSummariesHideAndInventNothing() throws {
        for sequence in 1...3 as ClosedRange<UInt64> { try publish(sequence) }
        let expected = try expected()
        var invented = expected[0]
        invented.sequence = 7
        var renamed = expected[1]
        renamed.manifest = expected[2].manifest
        for name in try tables() { try repository.storage.remove(ObjectName(.summary, name)) }
        let forged = SummaryTable.encode([invented, renamed, expected[1]], repository: repository.id)
        let name = forged.withUnsafeBytes { hash($0) }
        try Bytes.write(forged, to: directory.join("summaries/\(name)"))
        #expect(try repository.manifests.summaries() == expected)
        // Control: it is believed of the one manifest that it does name.
        #expect(try list().reads == 2)
        // One of another repository is not.
        let foreign = SummaryTable.encode(
            expected, repository: RepositoryID([UInt8](repeating: 9, count: 16)))
        try Bytes.write(foreign, to: directory.join("summaries/\(foreign.withUnsafeBytes { hash($0) })"))
        #expect(try list() == (expected, 2))
    }

    @Test func snapshotsThatAreGoneAreNotListed() throws {
        let first = try publish(1)
        try publish(2)
        try repository.storage.remove(ObjectName(.manifest, first.name))
        #expect(try repository.manifests.summaries().map(\.sequence) == [2])
        // A manifest that another varve wrote has none, and is read.
        try publish(3)
        for name in try tables() { try repository.storage.remove(ObjectName(.summary, name)) }
        #expect(try repository.manifests.summaries().map(\.sequence) == [2, 3])
    }

    /// A backup finds its parent among those of many environments by reading it alone.
    @Test func theParentIsFoundWithoutReadingOthers() throws {
        for sequence in 1...40 as ClosedRange<UInt64> { try publish(sequence, home: "/srv/\(sequence % 20)") }
        func newest(_ home: String) throws -> UInt64? {
            try ParentSnapshot.newest(of: "host:\(home)", in: repository, SourceCatalog())?.reference.sequence
        }
        // Every manifest that need not be read is damaged, so reading one of them would not help.
        for reference in try repository.manifests.list() where reference.sequence != 27 {
            try Bytes.write([0], to: directory.join("manifests/\(reference.name)"))
        }
        #expect(try newest("/srv/7") == 27)
        #expect(try newest("/srv/none") == nil)
        // One that can't be read does not count.
        #expect(try newest("/srv/3") == nil)
        // A summary is not relied on for what is chosen.
        for name in try tables() { try repository.storage.remove(ObjectName(.summary, name)) }
        #expect(try newest("/srv/7") == 27)
    }

    /// A summary that can't be stored must not make a failure of a snapshot that is committed.
    @Test func aCommitDoesNotDependOnThem() throws {
        try Directory.removeTree(directory.join("summaries"))
        try Bytes.write([], to: directory.join("summaries"))
        let reference = try publish(1)
        #expect(try repository.manifests.list() == [reference])
        try Directory.removeFile(directory.join("summaries"))
        #expect(try repository.manifests.summaries().map(\.reference) == [reference])
    }
}
