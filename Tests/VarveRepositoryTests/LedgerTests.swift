import Testing
import VarveFiles
import VarveFormat
import VarveStorage
import VarveTestSupport

@testable import VarveRepository
@testable import VarveUpkeep

/// Which objects a run reads, and what is remembered of it.
@Suite struct LedgerTests {
    let directory: TemporaryDirectory
    let repository: Repository
    let packs: [ObjectName]

    init() throws {
        directory = try TemporaryDirectory()
        let repository = try TestRepository.create(at: directory.path)
        self.repository = repository
        packs = try (0..<12).map { number in
            let bytes = [UInt8](repeating: UInt8(number), count: 5000 + number * 1000)
            return try bytes.withUnsafeBytes { bytes in
                let object = ObjectName(.pack, hash(bytes))
                try repository.storage.publish(object, [bytes])
                return object
            }
        }
    }

    private func verify(_ change: (inout MediaOptions) -> Void = { _ in }) throws -> VerificationReport {
        var options = MediaOptions()
        change(&options)
        return try Verifier(try Repository.open(repository.path)).verifyMedia(options)
    }

    private func row(
        _ object: ObjectName, _ second: Int64, round: Int64? = nil, _ result: LedgerRow.Verdict = .good
    ) throws -> LedgerRow {
        let subject = try #require(object.subject)
        return LedgerRow(
            kind: subject.kind, hash: subject.hash, method: .direct, result: result,
            time: Timestamp(seconds: second), round: round.map { Timestamp(seconds: $0) }, size: 1)
    }

    private func roundEnd(_ round: Int64) -> LedgerRow {
        LedgerRow(
            kind: .roundEnd, hash: .zero, method: .direct, result: .good,
            time: Timestamp(seconds: round + 50),
            round: Timestamp(seconds: round), size: 0)
    }

    private func plan(
        _ rows: [LedgerRow], at now: Int64 = 1000, _ change: (inout MediaOptions) -> Void = { _ in }
    ) -> MediaPlan {
        var options = MediaOptions()
        change(&options)
        return MediaPlan(
            packs.map { ListedObject(object: $0, size: 100) }, ledger: Ledger(rows), options: options,
            now: Timestamp(seconds: now))
    }

    /// A copy that was moved to another disk was not read there.
    @Test func readingsOfAnotherDiskDoNotCount() throws {
        func row(_ pack: Int, _ device: String?, _ result: LedgerRow.Verdict = .good) throws -> LedgerRow {
            var row = try self.row(packs[pack], 10 + Int64(pack), result)
            row.device = device
            return row
        }
        let rows = [
            try row(0, "/dev/sdb1 ext4 uuid=1-2"), try row(1, "/dev/sdc1 ext4 uuid=1-2"),
            try row(2, "/dev/sdb1 ext4 uuid=3-4"), try row(3, "/dev/sdb1 ext4 uuid=3-4", .mismatch),
            try row(4, nil), try row(5, "/dev/sdb1 ext4 dev=8:17"),
        ]
        try Ledger.publish(
            rows, in: repository.storage, repository: repository.id, copy: repository.copyID)
        func read(_ device: String?) throws -> [Int] {
            let ledger = try Ledger(
                of: repository.storage, repository: repository.id, copy: repository.copyID, device: device)
            return packs.indices.filter { ledger.lastReading(of: packs[$0]) != nil }
        }
        #expect(try read("/dev/sdd1 ext4 uuid=1-2") == [0, 1, 3, 4, 5])
        #expect(try read("/dev/sdd1 ext4 uuid=3-4") == [2, 3, 4, 5])
        // Without a UUID it can't be told.
        #expect(try read("/dev/sdd1 ext4 dev=8:49") == Array(0..<6))
        #expect(try read(nil) == Array(0..<6))
    }

    @Test func aRoundReadsEverythingOnce() throws {
        let all = plan([])
        #expect(Set(all.objects.map(\.object)) == Set(packs))
        #expect(all.round == Timestamp(seconds: 1000) && all.before.isEmpty)
        // Interrupted: the rest, in the same round.
        let rows = try packs[..<5].map { try row($0, 100, round: 90) }
        let rest = plan(rows)
        #expect(rest.round == Timestamp(seconds: 90))
        #expect(Set(rest.objects.map(\.object)) == Set(packs[5...]))
        #expect(rest.before.count == 5)
        // Ended: all again, in a new one. And so does --restart.
        #expect(plan(rows + [roundEnd(90)]).objects.count == packs.count)
        #expect(plan(rows) { $0.restarts = true }.objects.count == packs.count)
        // The end of an older round says nothing of this one.
        #expect(plan(rows + [roundEnd(80)]).objects.count == packs.count - 5)
    }

    @Test func oldestFirst() throws {
        var rows = try packs[2...].enumerated().map { try row($1, 500 - Int64($0)) }
        rows[3].result = .unreadable
        let budget = plan(rows) { $0.maximumBytes = 450 }
        #expect(budget.round == nil)
        #expect(budget.objects.count == 4 && budget.left.count == packs.count - 4)
        // Bad ones, then those that were never read, then the oldest.
        #expect(budget.objects[0].object == packs[5])
        #expect(Set(budget.objects[1...2].map(\.object)) == Set(packs[0...1]))
        #expect(budget.objects[3].object == packs[11])
        // Less than an object: one all the same, or nothing would ever be read.
        #expect(plan(rows) { $0.maximumBytes = 1 }.objects.count == 1)
    }

    @Test func byAge() throws {
        let rows = try packs.enumerated().map { try row($1, Int64($0) * 10) }
        let old = plan(rows, at: 1000) { $0.olderThan = 950 }
        #expect(old.objects.map(\.object) == Array(packs[..<5]))
        // A time in the future is none.
        let wrong = plan(try packs.map { try row($0, 2000) }, at: 1000) { $0.olderThan = 950 }
        #expect(wrong.objects.count == packs.count)
    }

    @Test func runsAreRecorded() throws {
        let first = try verify()
        #expect(first.isGood && first.objects == packs.count)
        #expect(first.reading?.direct ?? 0 > 0 || first.reading?.dropBehind ?? 0 > 0)
        let ledger = try repository.ledger()
        #expect(ledger.unfinishedRound == nil && ledger.losses == [])
        for pack in packs { #expect(ledger.rows(of: pack).map(\.result) == [.good]) }
        // By age there is nothing to do now; a plain run begins anew.
        #expect(try verify { $0.olderThan = 3600 }.objects == 0)
        #expect(try verify().objects == packs.count)
        let health = try repository.mediaHealth()
        #expect(health.share == 1 && health.neverReadBytes == 0 && health.damage == [])
        #expect(health.oldestReading != nil && health.lastDrill == nil)
    }

    /// A budget goes through all of it, run by run, and then begins with what was first.
    @Test func budgetsGoRound() throws {
        var seen: [ObjectName] = []
        while seen.count < packs.count {
            let before = try repository.ledger()
            let report = try verify { $0.maximumBytes = 30_000 }
            #expect(report.isGood && report.objects > 0)
            let after = try repository.ledger()
            seen += packs.filter { after.lastReading(of: $0) != before.lastReading(of: $0) }
            #expect(seen.count == Set(seen).count, "read twice before all were read once")
        }
    }

    @Test func damageIsRecordedAndReadAgain() throws {
        let path = repository.path(ofPack: packs[3].name)
        let whole = try Bytes.read(path)
        try Bytes.write(Array(whole.dropLast(1)) + [0xFF], to: path)
        let bad = try verify()
        #expect(!bad.isGood && bad.findings.allSatisfy { $0.object == packs[3] })
        #expect(try repository.ledger().isBad(packs[3]))
        let health = try repository.mediaHealth()
        #expect(Set(health.damage.map(\.object)) == [packs[3]] && health.share < 1)
        // Whatever the age.
        #expect(try !verify { $0.olderThan = 3600 }.isGood)
        try Bytes.write(whole, to: path)
        #expect(try verify { $0.olderThan = 3600 }.objects == 1)
        #expect(try repository.mediaHealth().damage == [])
    }

    /// Without the ledger, or with a damaged one, there is more to read, and no error.
    @Test func damageToTheLedger() throws {
        _ = try verify()
        let path = directory.join("ledger")
        let name = try #require(try Directory.list(path).first)
        var bytes = try Bytes.read(Path.join(path, name))
        bytes[LedgerSegment.headerLength + 40] ^= 1
        try Bytes.write(bytes, to: Path.join(path, name))
        let ledger = try repository.ledger()
        #expect(ledger.losses.count == 1 && ledger.losses[0].contains("1 of"))
        #expect(packs.count { ledger.lastReading(of: $0) != nil } >= packs.count - 1)
        let report = try verify { $0.olderThan = 3600 }
        #expect(report.isGood && report.objects <= 1 && report.reading?.notes.count == 1)
        try Directory.removeTree(path)
        #expect(try verify { $0.olderThan = 3600 }.objects == packs.count)
    }

    /// Many segments become one; what is gone and was good is forgotten.
    @Test func segmentsAreMerged() throws {
        for number in 0..<40 as Range<Int64> {
            let row = try row(packs[Int(number) % 6], 100 + number, round: 90)
            try Ledger.publish(
                [row], in: repository.storage, repository: repository.id, copy: repository.copyID)
        }
        let before = try repository.ledger()
        let gone = try #require(packs[0].subject)
        try Ledger.merge(in: repository.storage, repository: repository.id, copy: repository.copyID) {
            $0 != gone
        }
        let after = try repository.ledger()
        #expect(try repository.storage.list(.ledger).count == 1)
        #expect(after.last == before.last.filter { $0.key != gone })
        #expect(after.unfinishedRound == Timestamp(seconds: 90))
    }

    /// Several processes merge and add at the same time: no row is lost at any moment.
    @Test func mergedByManyAtOnce() throws {
        let expected = 60
        let threads = try (0..<4).map { thread in
            try WorkerThread { [repository] in
                for number in 0..<expected / 4 {
                    let bytes = [UInt8]("\(thread) \(number)".utf8)
                    let row = LedgerRow(
                        kind: .pack, hash: dataID(bytes), method: .direct, result: .good,
                        time: Timestamp(seconds: Int64(number)), round: nil, size: 1)
                    let (storage, id, copy) = (repository.storage, repository.id, repository.copyID)
                    do {
                        try Ledger.publish([row], in: storage, repository: id, copy: copy)
                        if number % 3 == 0 {
                            try Ledger.merge(in: storage, repository: id, copy: copy) { _ in true }
                        }
                    } catch let error as VarveError where error.code == .missing {
                        // The others merged all the time.
                    } catch {
                        Issue.record("\(error)")
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(try repository.ledger().last.count == expected)
    }
}
