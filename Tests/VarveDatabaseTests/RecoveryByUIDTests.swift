import Testing
import VarveFormat
import VarveTestSupport

@testable import VarveDatabase

@Suite struct RecoveryByUIDTests {
    private typealias Log = LoggedFilesTests.Log
    private typealias File = RecoveryByUID.RestoredFile

    @Test func whereNoNameChangedLibdbRecoversByItself() throws {
        var log = Log()
        log.checkpoint("a.db", "a1")
        log.create("b.db", "b1", in: 10, child: 11)
        log.commit(10)
        log.remove("a.db", "a1", in: 12, child: 13)
        log.commit(12)
        let files = [File(path: "a.db", fileID: "a1"), File(path: "b.db", fileID: "b1")]
        #expect(try RecoveryByUID.plan(log.files, restored: files) == nil)
        // A rename that did not commit.
        log.rename("b.db", "c.db", "b1", in: 14, child: 15)
        #expect(try RecoveryByUID.plan(log.files, restored: files) == nil)
        log.commit(14)
        #expect(try RecoveryByUID.plan(log.files, restored: files) != nil)
    }

    @Test func everyDatabaseEndsUnderItsLastName() throws {
        var log = Log()
        log.checkpoint("data/a.db", "a1")
        log.checkpoint("q.db", "d1")
        log.create("data/z.db", "b1", in: 10, child: 11)
        log.commit(10)
        log.rename("data/a.db", "data/a.bak", "a1", in: 12, child: 13)
        log.rename("data/z.db", "data/a.db", "b1", in: 12, child: 14)
        log.rename("q.db", "r.db", "d1", in: 12, child: 15)
        log.commit(12)
        log.create("data/late.db", "c1", in: 16, child: 17)
        log.commit(16)
        log.create("gone.db", "e1", in: 18, child: 19)
        log.commit(18)
        log.remove("gone.db", "e1", in: 20, child: 21)
        log.commit(20)
        // Copied while a transaction made it that did not commit.
        log.create("unmade.db", "99", in: 22, child: 23)
        log.abort(22)
        let files = [
            File(path: "data/a.db", fileID: "a1"),
            // Found as data/a.db when that path was taken.
            File(path: "data/__varve.b1", place: "data/a.db", fileID: "b1"),
            File(path: "r.db", fileID: "d1"), File(path: "__dbq.r.db.3", fileID: nil),
            File(path: "gone.db", fileID: "e1"), File(path: "__db.placeholder", fileID: nil),
            File(path: "idle.db", fileID: "f1"), File(path: "unmade.db", fileID: "99"),
        ]
        let plan = try #require(try RecoveryByUID.plan(log.files, restored: files))
        var ends: [String: String] = [:]
        for move in plan.moves { ends[move.from] = plan.destination(of: move.work) }
        #expect(
            ends == [
                "data/a.db": "data/a.bak", "data/__varve.b1": "data/a.db", "r.db": "r.db",
                "__dbq.r.db.3": "__dbq.r.db.3",
            ])
        #expect(plan.dropped == ["gone.db", "__db.placeholder", "unmade.db"])
        #expect(plan.databasePaths == ["data/a.bak", "data/a.db", "data/late.db", "r.db"])
        #expect(Set(plan.moves.map(\.work)).count == 4 && plan.destination(of: "unknown") == nil)
    }

    @Test func aTemporaryNameIsFollowed() throws {
        var log = Log()
        log.create("sub/c.db", "a1", in: 10, child: 11)
        log.rename("sub/c.db", "b.db", "a1", in: 10, child: 12)
        log.commit(10)
        for (found, end) in [
            ("sub/80000076.8437ad2e", "b.db"), ("data/sub/80000076.1", "data/b.db"),
            ("data/sub/c.db", "data/b.db"), ("b.db", "b.db"), ("data/sub/__db.80000076.1", "data/b.db"),
        ] {
            let file = try #require(log.files.files["a1"])
            #expect(RecoveryByUID.finalPath(file, found: found) == end)
        }
    }

    @Test func namesThatLeadOutAreRefused() throws {
        for name in ["../../etc/shadow", "/etc/shadow"] {
            var log = Log()
            log.create("__db", "a1", in: 10, child: 11)
            log.rename("__db", name, "a1", in: 10, child: 12)
            log.commit(10)
            expect(.unsupported) { try RecoveryByUID.plan(log.files, restored: []) }
            let restored = [File(path: "__db", fileID: "a1")]
            if name.hasPrefix("/") {
                // Of an absolute name only its last part can be followed.
                let plan = try RecoveryByUID.plan(log.files, restored: restored)
                #expect(plan?.databasePaths.allSatisfy { !$0.contains("etc") } ?? true)
            } else {
                expect(.unsupported) { try RecoveryByUID.plan(log.files, restored: restored) }
            }
        }
    }

    /// Records of real logs, changed, are records still, of the same places and transactions.
    @Test(arguments: Fixture.readableLogs) func changedRecordsAreRecords(_ fixture: Fixture) throws {
        var logged = LoggedFiles()
        var all: [UInt32: [UInt8]] = [:]
        for number in try fixture.logNumbers() {
            let bytes = try fixture.bytes(EnvironmentFileKind.logName(number))
            all[number] = bytes
            _ = try bytes.withUnsafeBytes { bytes in
                try LogWalker.walk(number: number, bytes: bytes) { logged.add($0) }
            }
        }
        // A place of its own makes it necessary.
        let restored = logged.databases.map { file in
            File(path: "moved/" + file.fileID, place: "d/" + file.name, fileID: file.fileID)
        }
        let plan = try #require(try RecoveryByUID.plan(logged, restored: restored))
        var count = 0
        for (number, bytes) in all {
            var changed = bytes
            let before = try bytes.withUnsafeBytes { whole in
                try LogWalker.walk(number: number, bytes: whole) { (record) throws(VarveError) in
                    let range = Int(record.lsn.offset)..<Int(record.lsn.offset) + Int(record.length)
                    guard let patched = try plan.patched(record, Array(bytes[range])) else { return }
                    #expect(patched.count == range.count)
                    changed.replaceSubrange(range, with: patched)
                    count += 1
                }
            }
            var again = LoggedFiles()
            let after = try changed.withUnsafeBytes { whole in
                try LogWalker.walk(number: number, bytes: whole) { again.add($0) }
            }
            #expect(after.validLength == before.validLength && after.recordCount == before.recordCount)
            #expect(after.commitCount == before.commitCount && after.end == before.end)
            #expect(after.absoluteNames.isEmpty && again.changes.isEmpty)
            #expect(again.files.values.allSatisfy { !$0.name.contains("/") })
        }
        #expect(count > 0)
    }
}
