import Testing
import VarveCodec
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveStorage
import VarveTestSupport
import VarveUpkeep

/// A snapshot of some databases only never stands for the environment.
@Suite struct PartialTests {
    private let bench: CopyBench
    private let files: [ListedFile]

    init() throws {
        bench = try CopyBench(copies: 1)
        files = bench.files()
    }

    private func backup(only: [String]? = nil) throws -> SnapshotReference {
        var source = ListedFiles.environment(only == nil ? files : Array(files.prefix(1)))
        source.summary.environment?.only = only
        return try Archiver(repository: try bench.repository("a")).backup(source, tool: "test").snapshot
    }

    private func latest() throws -> SnapshotReference { try bench.repository("a").find("latest") }

    @Test func latestIsAWholeOne() throws {
        let only = try backup(only: ["file-0"])
        // There is nothing else.
        #expect(try latest() == only)
        let whole = try backup()
        let newer = try backup(only: ["file-0"])
        #expect(newer > whole)
        #expect(try latest() == whole)
        #expect(try bench.repository("a").manifests.summaries().map(\.isPartial) == [true, false, true])
        // It is no matter of the summaries: without them the manifests tell.
        try Directory.removeTree(bench.path("a/summaries"))
        #expect(try latest() == whole)
        // A whole one that can't be read is not passed over for an older one.
        let last = try backup()
        try Bytes.write([0], to: bench.path("a/manifests/\(last.name)"))
        try Directory.removeTree(bench.path("a/summaries"))
        #expect(try latest() == last)
    }

    /// As 0.1.0 wrote them: without a word on what is partial.
    @Test func aTableOfAnEarlierVersionIsNotBelieved() throws {
        let whole = try backup()
        _ = try backup(only: ["file-0"])
        let repository = try bench.repository("a")
        let name = try #require(try Directory.list(bench.path("a/summaries")).first)
        var bytes = try Bytes.read(bench.path("a/summaries/\(name)"))
        try Directory.removeTree(bench.path("a/summaries"))
        try Directory.create(bench.path("a/summaries"))
        bytes[8] = 1
        bytes[bytes.count - 100 + 73] &= ~4
        let old = bytes.withUnsafeBytes { Hasher.name(of: $0).hex }
        try Bytes.write(bytes, to: bench.path("a/summaries/\(old)"))
        #expect(try latest() == whole)
        #expect(try repository.manifests.summaries().map(\.isPartial) == [false, true])
        #expect(try Verifier(repository).verifyMedia().isGood)
        #expect(try Verifier(repository).verifyContent().isGood)
        // The next commit replaces it.
        _ = try backup()
        #expect(try !Directory.list(bench.path("a/summaries")).contains(old))
        #expect(try Directory.list(bench.path("a/quarantine")).isEmpty)
    }

    private func status(age: Int64, later seconds: Int64 = 0) throws -> RepositoryStatus {
        var options = MediaOptions()
        options.restarts = true
        _ = try Verifier(try bench.repository("a")).verifyMedia(options)
        var policy = RepositoryStatus.Policy()
        policy.maximumAge = age
        var now = Clock.now()
        now.seconds += seconds
        return try RepositoryStatus(try bench.copies(), policy: policy, now: now)
    }

    @Test func noPolicyIsSatisfiedByIt() throws {
        _ = try backup(only: ["file-0"])
        let alone = try status(age: 3600)
        #expect(alone.sources.map(\.newest.partial) == [true])
        #expect(alone.sources[0].newestVerified == nil)
        #expect(alone.problems.count == 1 && alone.problems[0].contains("only partial ones"))
        let whole = try backup()
        _ = try backup(only: ["file-0"])
        let good = try status(age: 3600)
        #expect(good.problems.isEmpty)
        #expect(good.sources[0].newest.snapshot == whole.description)
        #expect(good.sources[0].newestVerified?.snapshot == whole.description)
    }

    /// What comes after it is compared with the whole one before it.
    @Test func itIsNoParentBesideAWholeOne() throws {
        func parent() throws -> SnapshotReference? {
            try ParentSnapshot.newest(
                of: SourceName.ordinary(host: Host.name, home: "/home"), in: try bench.repository("a"),
                SourceCatalog())?.reference
        }
        let only = try backup(only: ["file-0"])
        #expect(try parent() == only)
        let whole = try backup()
        _ = try backup(only: ["file-0"])
        #expect(try parent() == whole)
        try Directory.removeTree(bench.path("a/summaries"))
        #expect(try parent() == whole)
    }
}
