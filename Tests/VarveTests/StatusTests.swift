import Testing
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveStorage
import VarveTestSupport
import VarveUpkeep

/// What `varve status` takes for a problem, and what not.
@Suite struct StatusTests {
    private let bench: CopyBench

    init() throws {
        bench = try CopyBench(copies: 2)
        try bench.backup(bench.files())
    }

    private func status(age: Int64? = nil, later seconds: Int64 = 0) throws -> RepositoryStatus {
        var policy = RepositoryStatus.Policy()
        policy.minimumCopies = 2
        policy.maximumAge = age
        var now = Clock.now()
        now.seconds += seconds
        return try RepositoryStatus(try bench.copies(), policy: policy, now: now)
    }

    private func read(_ label: String) throws {
        var options = MediaOptions()
        options.restarts = true
        _ = try Verifier(try bench.repository(label)).verifyMedia(options)
    }

    @Test func aSnapshotCountsWhenEnoughCopiesWereRead() throws {
        #expect(try status().problems.count == 1)
        try read("a")
        let half = try status()
        #expect(half.sources[0].newestVerified == nil && half.problems.count == 1)
        try read("b")
        let good = try status(age: 3600)
        #expect(good.problems.isEmpty)
        #expect(good.sources[0].newestVerified?.verifiedCopies == ["a", "b"])
        // What was read is too long ago by then, and the snapshot too old.
        #expect(try !status(later: 31 * 86400).problems.isEmpty)
        #expect(try status(age: 3600, later: 7200).problems.count == 1)
        // What came since was not read.
        try bench.backup(bench.files())
        let next = try status()
        #expect(next.sources[0].newest.snapshot != next.sources[0].newestVerified?.snapshot)
        #expect(next.problems.isEmpty)
    }

    /// What damages a pack may write its time as well: it was there before, and what needs it is not verified.
    @Test(arguments: [true, false]) func aPackThatWasWrittenToIsNoLaterOne(_ isRead: Bool) throws {
        for label in ["a", "b"] { try read(label) }
        #expect(try status().sources[0].newestVerified != nil)
        let repository = try bench.repository("b")
        let pack = try #require(repository.storage.list(.pack).first)
        let path = repository.storage.path(of: ObjectName(.pack, pack))
        var bytes = try File.open(reading: path).readToEnd(limit: 1 << 30)
        bytes[bytes.count / 2] ^= 1
        try Directory.removeFile(path)
        try Bytes.write(bytes, to: path)
        try File.open(reading: path).setModified(Timestamp(seconds: Clock.now().seconds + 1))
        if isRead { try read("b") }
        let newest = try repository.manifests.list()
        #expect(try repository.newestVerified(since: 0, newest) == nil)
        #expect(try status().sources[0].newestVerified == nil)
        guard isRead else { return }
        // Nothing heals it here, and it is set aside: no more is known of what needs it.
        try bench.move("a", to: "away")
        _ = try bench.heal("b", from: "b")
        #expect(try repository.newestVerified(since: 0, newest) == nil)
        try bench.move("away", to: "a")
        _ = try bench.heal("b")
        try read("b")
        #expect(try repository.newestVerified(since: 0, newest) == newest.last)
    }

    /// A snapshot that does without a damaged pack is verified when that was seen.
    @Test func aSnapshotThatNeedsNoDamagedPack() throws {
        let first = try #require(bench.repository("b").manifests.list().first)
        let before = try Set(bench.repository("b").storage.list(.pack))
        try bench.backup(bench.files())
        for label in ["a", "b"] { try read(label) }
        let repository = try bench.repository("b")
        let later = try #require(repository.storage.list(.pack).first { !before.contains($0) })
        try bench.damage("b", "packs/\(later.prefix(2))/\(later)", .flip)
        try read("b")
        let all = try repository.manifests.list()
        #expect(try repository.newestVerified(since: 0, all) == nil)
        _ = try Verifier(repository).verifyContent()
        #expect(try repository.newestVerified(since: 0, all) == first)
    }

    @Test func damageIsAProblemUntilItIsHealed() throws {
        for label in ["a", "b"] { try read(label) }
        let pack = try #require(try bench.objects("b").keys.sorted().last { $0.hasPrefix("packs/") })
        try bench.damage("b", pack, .flip)
        try read("b")
        #expect(try status().problems.contains { $0.contains("'b' has 1 damaged object:") })
        try bench.heal("b")
        #expect(try status().problems.isEmpty)
    }

    private func modified(_ label: String, _ object: String) throws -> Timestamp {
        try #require(try FileStatus.of(Path.join(bench.path(label), object))?.modified)
    }

    /// What a snapshot needs is told by times: those that come from another copy, or take the place of what was damaged,
    /// keep them.
    @Test func whatIsBroughtIsAsOldAsItWas() throws {
        let pack = try #require(try bench.objects("b").keys.sorted().last { $0.hasPrefix("packs/") })
        let manifest = try #require(try bench.objects("b").keys.first { $0.hasPrefix("manifests/") })
        for object in [pack, manifest] { try Directory.removeFile(Path.join(bench.path("b"), object)) }
        #expect(try bench.synchronize("b").isComplete)
        for object in [pack, manifest] { #expect(try modified("b", object) == modified("a", object)) }
        for label in ["a", "b"] { try read(label) }
        #expect(try status().problems.isEmpty)
        // Not read since it came: the snapshot does not count.
        try Directory.removeFile(Path.join(bench.path("b"), pack))
        #expect(try status().problems.contains { $0.hasPrefix("'b' lacks 1 object ") })
        #expect(try bench.synchronize("b").isComplete)
        #expect(try status().sources[0].newestVerified == nil)
        try read("b")
        #expect(try status().problems.isEmpty)
    }

    /// What is good nowhere stays a problem after `heal`, and the snapshots that need it do not count.
    @Test func whatIsLostIsNotForgotten() throws {
        for label in ["a", "b"] { try read(label) }
        let pack = try #require(try bench.objects("a").keys.sorted().last { $0.hasPrefix("packs/") })
        for label in ["a", "b"] {
            let before = try modified(label, pack)
            let path = Path.join(bench.path(label), pack)
            try Bytes.write([UInt8](repeating: 0, count: try Bytes.read(path).count), to: path)
            // A disk that goes bad leaves the times alone.
            try File.open(updating: path).setModified(before)
        }
        for label in ["a", "b"] { try bench.heal(label) }
        let problems = try status().problems
        #expect(problems.count { $0.contains(" has lost 1 object:") } == 2, "\(problems)")
        #expect(try status().sources[0].newestVerified == nil)
        // The next one does without it.
        try bench.backup(bench.files(), required: 2)
        for label in ["a", "b"] { try read(label) }
        let later = try status()
        #expect(later.sources[0].newestVerified?.snapshot == later.sources[0].newest.snapshot)
        #expect(later.problems.count == 2)
        for label in ["a", "b"] {
            try Directory.removeTree(bench.path("\(label)/quarantine"))
        }
        #expect(try status().problems.isEmpty)
        // Without the directory as well what is damaged is kept.
        let next = try #require(try bench.objects("b").keys.sorted().last { $0.hasPrefix("packs/") })
        try bench.damage("b", next, .flip)
        let bad = try Bytes.read(Path.join(bench.path("b"), next))
        try bench.heal("b")
        let kept = try Directory.list(bench.path("b/quarantine"))
        #expect(try kept.map { try Bytes.read(bench.path("b/quarantine/\($0)")) } == [bad])
    }

    /// Whoever lost `copies/` has other copies still, and is told.
    @Test func copiesWhoseRecordsAreLostAreNotForgotten() throws {
        let copies = Path.join(bench.path("a"), "copies")
        func says() throws -> Bool { try status().problems.contains { $0.contains("the record of 'b'") } }
        #expect(try !says())
        try Directory.removeTree(copies)
        let now = try status()
        #expect(now.copies.map(\.label) == ["a", "b"] && now.copies.map(\.recordLost) == [false, true])
        #expect(try says() && now.copies.allSatisfy { $0.present && $0.lacking == 0 })
        // The next backup goes to both, says it, and writes it anew.
        let again = try bench.backup(bench.files(5))
        #expect(again.copies.map(\.isAcknowledged) == [true, true])
        #expect(again.copies.map(\.recordLost) == [false, true] && again.copies[1].needsAttention)
        #expect(try !says())
        #expect(try !bench.backup(bench.files(6)).copies.contains(where: \.needsAttention))

        // One that was forgotten stays so, and one that is away is told as well.
        try Directory.rename(bench.path("b"), to: bench.path("away"))
        try Directory.removeTree(copies)
        #expect(try says())
        try CopyRegistry(try bench.copies()).remove(try bench.copies().find("b"))
        try Directory.removeTree(copies)
        #expect(try status().copies.map(\.label) == ["a"])

        // The control: without the list nobody knows.
        try Directory.rename(bench.path("away"), to: bench.path("b"))
        _ = try CopyRegistry(try bench.copies()).add(at: bench.path("b"), label: nil, role: "local")
        try Directory.removeTree(copies)
        #expect(try says())
        try Directory.removeFile(Path.join(bench.path("a"), CopyList.fileName))
        #expect(try status().copies.map(\.label) == ["a"])
    }
}
