import Synchronization
import Testing
import VarveFiles
import VarveFormat
import VarveOperations
import VarveStorage
import VarveTestSupport

@testable import VarveCopies
@testable import VarveRepository
@testable import VarveUpkeep

/// Each kind of error that ends nothing is heard of, and nothing where nothing failed.
@Suite struct NoticeTests {
    private func notices(_ body: () throws -> Void) throws -> [Notice] {
        let heard = Mutex<[Notice]>([])
        try Notices.heard(by: { notice in heard.withLock { $0.append(notice) } }) { try body() }
        return heard.withLock { $0 }
    }

    private let bench: CopyBench

    init() throws {
        bench = try CopyBench(copies: 2)
        try bench.backup(bench.files())
    }

    private func damage(_ label: String, _ directory: String) throws -> String {
        let name = try #require(try Directory.list(Path.join(bench.path(label), directory)).first)
        try bench.damage(label, "\(directory)/\(name)", .truncation)
        return "\(directory)/\(name)"
    }

    @Test func allIsWell() throws {
        let heard = try notices {
            try bench.backup(bench.files())
            _ = try bench.restore(of: "a", alone: false)
            _ = try Verifier(bench.repository("a")).verifyMedia()
            _ = try Verifier(bench.repository("a")).verifyContent()
            try bench.synchronize("b")
            try bench.heal("b")
        }
        #expect(heard.isEmpty, "\(heard)")
    }

    /// An index table that can't be used: its packs are read.
    @Test func anIndexTable() throws {
        let table = try damage("a", "indexes")
        let heard = try notices { _ = try bench.restore(of: "a") }
        #expect(!heard.isEmpty && heard.allSatisfy { $0.place == table && $0.level == .remark }, "\(heard)")
        #expect(try !notices { try bench.backup(bench.files()) }.isEmpty, "a writer says so, too")
        #expect(try notices { _ = try bench.restore(of: "a") }.isEmpty, "it was made anew")
    }

    @Test func aListOfSnapshots() throws {
        let table = try damage("a", "summaries")
        let heard = try notices { _ = try bench.repository("a").sources() }
        #expect(heard.map(\.place) == [table] && heard[0].error.code == .corrupt, "\(heard)")
    }

    /// It can't be stored: the snapshot is there all the same.
    @Test func aSummaryThatCannotBeStored() throws {
        let manifests = try bench.repository("a").manifests
        let newest = try #require(try manifests.list().last)
        let manifest = try manifests.read(newest)
        #expect(try notices { manifests.summarize(newest, manifest) }.isEmpty, "the control")
        let directory = Path.join(bench.path("a"), "summaries")
        try Directory.removeTree(directory)
        try Bytes.write([], to: directory)
        let heard = try notices { manifests.summarize(newest, manifest) }
        #expect(heard.count == 1 && heard[0].problem.contains("lacks snapshot 1-"), "\(heard)")
    }

    @Test func aLedgerThatCannotBeWritten() throws {
        let directory = Path.join(bench.path("a"), "ledger")
        try Directory.removeTree(directory)
        try Bytes.write([], to: directory)
        let heard = try notices { _ = try Verifier(bench.repository("a")).verifyMedia() }
        #expect(heard.contains { $0.problem.contains("ledger can't be written") }, "\(heard)")
    }

    @Test func aRecordOfACopy() throws {
        let name = try #require(
            try Directory.list(Path.join(bench.path("a"), "copies")).first { $0.hasSuffix(".json") })
        try bench.damage("a", "copies/\(name)", .truncation)
        let heard = try notices { _ = try CopyRecords(try bench.repository("a")) }
        #expect(heard.map { Path.name($0.place) } == [name], "\(heard)")
    }

    /// A copy that others can't tell what they are.
    @Test func aCopyThatHearsNothing() throws {
        let copies = try bench.copies()
        let directory = Path.join(bench.path("b"), "copies")
        try Directory.removeTree(directory)
        try Bytes.write([], to: directory)
        let files = ListedFiles.environment(bench.files())
        let heard = try notices {
            _ = try Archiver(repository: copies.named, copies: copies).backup(files, tool: "test")
        }
        #expect(
            heard.contains { $0.place == bench.path("b") && $0.problem == Repository.unheard }, "\(heard)")
    }

    @Test func aDrillThatCannotBeRead() throws {
        let repository = try bench.repository("a")
        let evidence = DrillEvidence(
            repository: repository.id.description, copy: repository.copy.copy, snapshot: "1", tool: "test",
            host: "here", started: Clock.now())
        try repository.record(evidence)
        let control = try notices {
            let drills = try repository.drills()
            #expect(drills == [evidence])
        }
        #expect(control.isEmpty)
        let drill = try damage("a", "drills")
        let heard = try notices {
            let drills = try repository.drills()
            #expect(drills.isEmpty)
        }
        #expect(heard.map(\.place) == [drill], "\(heard)")
    }

    @Test func anEvent() throws {
        let repository = try bench.repository("a")
        let heard = { try notices { _ = try repository.events.catalog() } }
        #expect(try heard().isEmpty)
        let source = try #require(try repository.sources().groups.first).name
        _ = try SourceRegistry(try bench.copies(), tool: "test").rename(source, to: "other")
        let event = try damage("a", "events")
        #expect(try heard().map(\.place) == [event])
    }
}
