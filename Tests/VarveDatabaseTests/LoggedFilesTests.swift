import Testing
import VarveFormat

@testable import VarveDatabase

@Suite struct LoggedFilesTests {
    /// A log record by record, as libdb would write it.
    struct Log {
        var files = LoggedFiles()
        private var offset: UInt32 = 28
        private var last: [UInt32: LSN] = [:]

        @discardableResult
        mutating func add(_ transaction: UInt32, _ event: LogEvent?) -> LSN {
            let lsn = LSN(file: 1, offset: offset)
            offset += 100
            var record = LogRecord(lsn: lsn, length: 100, transaction: transaction)
            record.previous = last[transaction] ?? .zero
            record.event = event
            if transaction != 0 { last[transaction] = lsn }
            files.add(record)
            return lsn
        }

        mutating func commit(_ transaction: UInt32) {
            add(transaction, .commit(time: 1, environmentID: 1))
            last[transaction] = nil
        }

        /// libdb writes nothing when a transaction aborts; its number may be used again.
        mutating func abort(_ transaction: UInt32) { last[transaction] = nil }

        mutating func create(_ name: String, _ id: String, in parent: UInt32, child: UInt32) {
            add(child, .file(.create(name: "__db.\(child)", directory: "")))
            add(child, .file(.write(name: "__db.\(child)", directory: "")))
            add(
                child,
                .file(.rename(old: "__db.\(child)", new: name, directory: "", fileID: id, undone: true)))
            last[child] = nil
            add(parent, .childCommit(transaction: child))
            add(
                parent,
                .register(LogRegistration(operation: .open, name: name, fileID: id, creator: child)))
        }

        @discardableResult
        mutating func rename(_ old: String, _ new: String, _ id: String, in parent: UInt32, child: UInt32)
            -> LSN
        {
            let begin = add(child, .file(.create(name: "__db.\(child)", directory: "")))
            add(child, .file(.rename(old: old, new: new, directory: "", fileID: id, undone: true)))
            add(
                child,
                .file(.rename(old: "__db.\(child)", new: old, directory: "", fileID: "ff", undone: false)))
            last[child] = nil
            add(parent, .childCommit(transaction: child))
            add(parent, .file(.leave(name: old, fileID: id, placeholder: "ff", child: child)))
            return begin
        }

        mutating func remove(_ name: String, _ id: String, in parent: UInt32, child: UInt32) {
            rename(name, "__db.gone", id, in: parent, child: child)
            add(parent, .file(.remove(name: "__db.gone", fileID: id)))
        }

        mutating func checkpoint(_ name: String, _ id: String, handle: Int32 = 0) {
            add(
                0,
                .register(
                    LogRegistration(operation: .checkpoint, name: name, fileID: id, handle: handle)))
        }

        var places: Set<String> { Set(files.places.map(\.path)) }

        var names: [String: String] {
            Dictionary(uniqueKeysWithValues: files.databases.map { ($0.fileID, $0.name) })
        }
    }

    /// Recovery works there again, whatever became of the transaction.
    @Test func directoriesThatRecoveryNeeds() {
        var log = Log()
        log.create("sub/a.db", "a1", in: 1, child: 2)
        log.abort(1)
        #expect(log.places == ["sub"])
        log.create("a.db", "a2", in: 3, child: 4)
        log.rename("a.db", "deep/er/b.db", "a2", in: 3, child: 5)
        log.commit(3)
        #expect(log.places == ["sub", "deep/er"])
    }

    @Test func whatCommittedCounts() {
        var log = Log()
        log.checkpoint("a.db", "a1", handle: 1)
        log.checkpoint("b.db", "b1", handle: 2)
        log.create("c.db", "c1", in: 10, child: 11)
        #expect(log.names == ["a1": "a.db", "b1": "b.db"])
        // A checkpoint names a file whose creation is not committed, too.
        log.checkpoint("c.db", "c1", handle: 3)
        #expect(log.names["c1"] == nil)
        log.commit(10)
        #expect(log.names == ["a1": "a.db", "b1": "b.db", "c1": "c.db"])
        log.remove("b.db", "b1", in: 12, child: 13)
        #expect(log.names["b1"] == "b.db")
        log.commit(12)
        #expect(log.names == ["a1": "a.db", "c1": "c.db"])
        #expect(log.files.files["b1"]?.removed != nil && log.files.files["b1"]?.isOpen == false)
        #expect(log.files.files["c1"]?.created != nil && log.files.files["a1"]?.isOpen == true)
    }

    @Test func whatDidNotCommitDoesNot() {
        var log = Log()
        log.checkpoint("a.db", "a1", handle: 1)
        log.create("c.db", "c1", in: 10, child: 11)
        log.remove("a.db", "a1", in: 10, child: 12)
        log.abort(10)
        // The same number again: what it had begun before is no part of it.
        log.create("d.db", "d1", in: 10, child: 13)
        log.commit(10)
        #expect(log.names == ["a1": "a.db", "d1": "d.db"])
        // A nested one that aborted, in one that commits.
        log.add(20, .file(.create(name: "x", directory: "")))
        log.add(21, .file(.rename(old: "a.db", new: "z.db", directory: "", fileID: "a1", undone: true)))
        log.abort(21)
        log.commit(20)
        #expect(log.names["a1"] == "a.db" && log.files.changes.count == 1)
        // Numbers that are given out anew end whoever had them.
        log.add(30, .file(.rename(old: "a.db", new: "z.db", directory: "", fileID: "a1", undone: true)))
        log.add(0, .recycle(first: 25, last: 35))
        log.commit(30)
        #expect(log.names["a1"] == "a.db")
    }

    @Test func renamesAreFollowed() throws {
        var log = Log()
        log.checkpoint("a.db", "a1", handle: 1)
        log.add(0, .register(LogRegistration(operation: .close, name: "a.db", fileID: "a1", handle: 1)))
        log.create("z.db", "b1", in: 9, child: 8)
        log.commit(9)
        // Dump, load, rename.
        let begin = log.rename("a.db", "a.bak", "a1", in: 10, child: 11)
        log.rename("z.db", "a.db", "b1", in: 10, child: 12)
        log.commit(10)
        #expect(log.names == ["a1": "a.bak", "b1": "a.db"])
        let old = try #require(log.files.files["a1"])
        #expect(old.firstName == "a.db" && old.isRenamed && !old.isOpen)
        #expect(log.files.changes.map(\.fileID) == ["b1", "a1", "b1"])
        #expect(log.files.changes[1].kind == .renamed(from: "a.db", to: "a.bak", placeholder: "ff"))
        #expect(log.files.changes[1].begin == begin && log.files.changes[1].lsn > begin)
        // A handle that was open meanwhile closes under the old name.
        log.add(0, .register(LogRegistration(operation: .close, name: "z.db", fileID: "b1", handle: 7)))
        #expect(log.names["b1"] == "a.db")
    }

    @Test func memoryAndTemporaryDatabasesAreNoFiles() {
        var log = Log()
        log.add(0, .register(LogRegistration(operation: .reopenInMemory, name: "m", fileID: "e1")))
        log.checkpoint("", "e2")
        #expect(log.files.databases.isEmpty)
        // Queue extents follow their queue.
        log.add(
            5,
            .file(
                .rename(
                    old: "d/__dbq.q.db.1", new: "d/__dbq.r.db.1", directory: "", fileID: "e3", undone: true))
        )
        log.commit(5)
        #expect(log.files.databases.isEmpty && log.files.changes.count == 1)
    }

    @Test(arguments: Fixture.readableLogs) func agreeWithTheFixtures(_ fixture: Fixture) throws {
        var files = LoggedFiles()
        for number in try fixture.logNumbers() {
            let bytes = try fixture.bytes(EnvironmentFileKind.logName(number))
            _ = try bytes.withUnsafeBytes { all in
                try LogWalker.walk(number: number, bytes: all) { files.add($0) }
            }
        }
        var expected: [String: String] = [:]
        for name in try fixture.fileNames where !name.hasPrefix("__dbq") {
            let bytes = try fixture.bytes(name)
            guard let header = try bytes.withUnsafeBytes({ try DatabaseHeader.probe($0) }) else { continue }
            expected[header.fileID] = name
        }
        #expect(!expected.isEmpty)
        let found = Dictionary(uniqueKeysWithValues: files.databases.map { ($0.fileID, $0.name) })
        for (id, name) in expected { #expect(found[id] == name, "\(fixture)") }
        // The one that is elsewhere has an absolute name.
        let elsewhere = found.filter { expected[$0.key] == nil }.values
        #expect(elsewhere.allSatisfy { $0.hasPrefix("/") } && !files.isTruncated)
        #expect(elsewhere.count == (fixture.name == "absolute-512" ? 1 : 0), "\(elsewhere)")
    }
}
