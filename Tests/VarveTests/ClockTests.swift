import Testing
import VarveFiles
import VarveFormat
import VarveOperations
import VarveStorage
import VarveTestSupport

@testable import VarveCopies
@testable import VarveRepository
@testable import VarveUpkeep

/// A clock that was wrong proves nothing, for however long: order is by number and by what was done here later.
@Suite struct ClockTests {
    private static let years: Int64 = 20 * 365 * 86400
    private let bench: CopyBench

    init() throws { bench = try CopyBench(copies: 2) }

    /// As it would be if the clock had been ahead until now: everything so far claims to be later than this moment.
    private func earlier() -> Timestamp {
        var now = Clock.now()
        now.seconds -= Self.years
        return now
    }

    private func status(_ now: Timestamp, age: Int64? = nil) throws -> RepositoryStatus {
        var policy = RepositoryStatus.Policy()
        policy.maximumAge = age
        return try RepositoryStatus(try bench.copies(), policy: policy, now: now)
    }

    private func read(_ label: String) throws {
        var options = MediaOptions()
        options.restarts = true
        _ = try Verifier(try bench.repository(label)).verifyMedia(options)
    }

    @Test func theFutureSatisfiesNothing() throws {
        try bench.backup(bench.files())
        for label in ["a", "b"] { try read(label) }
        // The control: with the right clock all is well.
        #expect(try status(Clock.now(), age: 3600).problems.isEmpty)
        let wrong = try status(earlier(), age: 3600)
        #expect(wrong.sources[0].newestVerified == nil && wrong.sources[0].future.count == 1)
        #expect(wrong.sources[0].newest.age < 0)
        #expect(wrong.problems.contains { $0.contains("in the future") && $0.contains("restores") })
        #expect(wrong.problems.count { $0.contains("were read at a moment") } == 2, "\(wrong.problems)")
        #expect(wrong.copies.allSatisfy { $0.health?.bytesRead == 0 && $0.verifiedSnapshot == nil })
        // Of one that is away only its record is known: that it is from the future is no reason either.
        try CopyRegistry(try bench.copies()).detach(try bench.copies().find("b"))
        try bench.move("b", to: "away")
        let away = try status(earlier())
        #expect(away.copies[1].verifiedSnapshot == nil)
        #expect(try status(Clock.now()).copies[1].verifiedSnapshot != nil)
    }

    private func forge(_ result: LedgerRow.Verdict, _ objects: [ObjectName], ahead: Int64) throws {
        let repository = try bench.repository("a")
        var time = Clock.now()
        time.seconds += ahead
        let rows = objects.compactMap { object in
            object.subject.map {
                LedgerRow(
                    kind: $0.kind, hash: $0.hash, method: .direct, result: result, time: time, round: time,
                    size: 1)
            }
        }
        try Ledger.publish(rows, in: repository.storage, repository: repository.id, copy: repository.copyID)
    }

    private func packs() throws -> [ObjectName] {
        try bench.repository("a").storage.list(.pack).map { ObjectName(.pack, $0) }
    }

    /// A good reading of 2046 counts as none, a bad one as suspicion; one of today puts an end to both.
    @Test func aReadingOfTodayIsLaterThanOneOfTomorrow() throws {
        try bench.backup(bench.files())
        let packs = try packs()
        try forge(.good, packs, ahead: Self.years)
        let repository = try bench.repository("a")
        #expect(try packs.allSatisfy { try repository.ledger().lastReading(of: $0) == nil })
        #expect(try repository.mediaHealth().readAhead == packs.count)
        #expect(try repository.newestVerified(since: 0, try repository.manifests.list()) == nil)
        try forge(.mismatch, [packs[0]], ahead: Self.years + 5)
        #expect(try repository.ledger().isBad(packs[0]))
        // A copy with a clock that is wrong now must not lose its evidence when segments are merged.
        try Ledger.merge(
            in: repository.storage, repository: repository.id, copy: repository.copyID, isThere: { _ in true }
        )
        #expect(try repository.ledger().isBad(packs[0]) && repository.mediaHealth().readAhead == packs.count)
        try read("a")
        let health = try repository.mediaHealth()
        #expect(health.readAhead == nil && health.damage.isEmpty && health.bytesRead == health.bytes)
        #expect(try repository.newestVerified(since: 0, try repository.manifests.list()) != nil)
        // The control: a reading of yesterday is not later.
        try forge(.mismatch, [packs[0]], ahead: -86400)
        #expect(try !repository.ledger().isBad(packs[0]))
    }

    private func setModified(_ object: ObjectName, _ seconds: Int64) throws {
        let path = try bench.repository("a").storage.path(of: object)
        try File.open(reading: path).setModified(Timestamp(seconds: seconds))
    }

    /// Which packs a snapshot needs is told by times, and clocks may have been wrong when these were made.
    @Test(arguments: ["pack ahead", "manifest behind", "killed run ahead"])
    func aPackThatWasNotReadIsMissed(_ kind: String) throws {
        let repository = try bench.repository("a")
        try bench.backup(bench.files())
        let first = try Set(packs())
        try bench.backup(bench.files())
        let manifests = try repository.manifests.list()
        let now = Clock.now().seconds
        switch kind {
        case "pack ahead":
            // Both of the first are from the future, the second has a right time, and needs the first's packs.
            for pack in first { try setModified(pack, now + Self.years) }
            try setModified(ObjectName(.manifest, manifests[0].name), now + Self.years)
        case "manifest behind":
            // As if the battery of its clock was empty: 1970.
            try setModified(ObjectName(.manifest, manifests[1].name), 1000)
        default:
            for pack in first { try setModified(pack, now + Self.years) }
        }
        try read("a")
        #expect(try repository.newestVerified(since: 0, manifests) == manifests[1], "the control")
        // One pack was not read.
        let unread = try #require(first.min { $0.name < $1.name })
        try forget(unread)
        #expect(try repository.newestVerified(since: 0, manifests) != manifests[1])
    }

    /// Takes the object's rows out of the ledger.
    private func forget(_ object: ObjectName) throws {
        let repository = try bench.repository("a")
        let rows = try repository.ledger().last.filter { $0.key != object.subject }.values.joined()
        for name in try repository.storage.list(.ledger) {
            try repository.storage.remove(ObjectName(.ledger, name))
        }
        try Ledger.publish(
            Array(rows), in: repository.storage, repository: repository.id, copy: repository.copyID)
    }

    @Test func latestIsByNumber() throws {
        try bench.backup(bench.files())
        let repository = try bench.repository("a")
        let summaries = try repository.sources().summaries
        // A snapshot whose manifest claims 2046 comes before the next one.
        var manifest = try repository.manifests.read(summaries[0].reference)
        manifest.sequence = 2
        manifest.finished.seconds += Self.years
        _ = try repository.manifests.publish(manifest)
        let third = try bench.backup(bench.files()).snapshot
        #expect(third.sequence == 3)
        #expect(try bench.repository("a").find("latest") == third)
        try read("a")
        try read("b")
        // It is passed over, and no problem any more: a newer one counts.
        #expect(
            try status(Clock.now(), age: 3600).problems.filter { $0.contains("in the future") }.isEmpty)
    }
}
