import Synchronization
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

@Suite(.timeLimit(.minutes(1))) struct NoticeTests {
    private final class Heard: Sendable {
        private let notices = Mutex<[Notice]>([])
        var all: [Notice] { notices.withLock { $0 } }
        func listen<R>(_ body: () throws -> R) rethrows -> R {
            try Notices.heard(by: { notice in self.notices.withLock { $0.append(notice) } }) {
                try body()
            }
        }
    }

    /// As an operation does its work: on threads of threads.
    private func fail(_ place: String) {
        let outer = try? WorkerThread {
            let inner = try? WorkerThread {
                Notices.attempt(.remark, place, "it can't be tried") {
                    throw VarveError(.corrupt, "no", hint: "do this")
                }
            }
            inner?.join()
        }
        outer?.join()
    }

    /// Of two operations side by side each hears its own, and whoever has bound none hears nothing.
    @Test func threadsTellWhoStartedThem() {
        let (one, two) = (Heard(), Heard())
        one.listen {
            fail("one")
            let beside = try? WorkerThread { two.listen { fail("two") } }
            beside?.join()
        }
        fail("three")
        #expect(one.all.map(\.place) == ["one"] && two.all.map(\.place) == ["two"])
        #expect(one.all[0].error.hint == "do this" && one.all[0].error.code == .corrupt)
        #expect(one.all[0].description == "one: it can't be tried (no)")
    }

    @Test func whatSucceedsAndWhatIsInterruptedTellsNothing() {
        let heard = Heard()
        heard.listen {
            #expect(Notices.attempt(.warning, "x", "y") { 7 } == 7)
            #expect(
                Notices.attempt(.warning, "x", "y") { throw VarveError(.interrupted, "no") } as Int? == nil)
        }
        #expect(heard.all.isEmpty)
    }

    /// What is gone already needs nobody; what stays does.
    @Test func whatCannotBeRemoved() throws {
        let (directory, heard) = (try TemporaryDirectory(), Heard())
        let root = try RootDirectory(directory.path)
        try root.makeDirectory(forOwner: "stays")
        heard.listen {
            Notices.cleanUp(.warning, "gone") { try root.unlink("gone") }
            #expect(heard.all.isEmpty, "the control")
            Notices.cleanUp(.warning, "stays") { try root.unlink("stays") }
        }
        #expect(heard.all.map(\.place) == ["stays"] && heard.all[0].error.errno != 0)
    }

    /// A document that can't take its name: its temporary file is removed, or it is said that it stays.
    @Test func aTemporaryFileThatStays() throws {
        let (directory, heard) = (try TemporaryDirectory(), Heard())
        let root = try RootDirectory(directory.path)
        try root.makeDirectory(forOwner: "taken")
        heard.listen {
            _ = #expect(throws: VarveError.self) { try root.replace("taken", with: [1]) }
        }
        #expect(try root.names() == ["taken"] && heard.all.isEmpty)
    }
}
