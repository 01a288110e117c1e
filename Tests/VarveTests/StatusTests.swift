import Testing
import Varve
import VarveFiles
import VarveFormat
import VarveRepository
import VarveTestSupport

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

    @Test func damageIsAProblemUntilItIsHealed() throws {
        for label in ["a", "b"] { try read(label) }
        let pack = try #require(try bench.objects("b").keys.sorted().last { $0.hasPrefix("packs/") })
        try bench.damage("b", pack, .flip)
        try read("b")
        #expect(try status().problems.contains { $0.contains("'b' has 1 damaged object:") })
        try bench.heal("b")
        #expect(try status().problems.isEmpty)
    }
}
