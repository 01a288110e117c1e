import Testing
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveStorage
import VarveTestSupport
import VarveUpkeep

/// `Fixtures/repositories/format-1-copies`: what is beside packs and manifests, as it was written once.
@Suite struct GoldenCopyTests {
    private let directory: TemporaryDirectory
    private let repository: Repository
    private static let fixture: String = {
        let source = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return source.dropLast(3).joined(separator: "/") + "/Fixtures/repositories/format-1-copies"
    }()

    init() throws {
        directory = try TemporaryDirectory()
        try Bytes.copyTree(Self.fixture, to: directory.path)
        try TestRepository.completeDirectories(of: directory.path)
        repository = try Repository.open(directory.path)
    }

    @Test func everyByteIsGood() throws {
        var options = MediaOptions()
        options.restarts = true
        let media = try Verifier(repository).verifyMedia(options)
        #expect(media.isGood && media.snapshots == 1)
        #expect(try Verifier(repository).verifyContent().isGood)
    }

    @Test func theOtherCopyIsKnown() throws {
        let copies = try RepositoryCopies(repository)
        #expect(copies.copies.map(\.record.label) == ["primary", "offsite"])
        let other = try copies.find("offsite")
        #expect(!other.isThere && other.record.path == "/srv/golden/second" && other.record.role == "offsite")
        #expect(other.record.snapshots == 1 && other.record.packs == 1 && other.record.detached != nil)
        #expect(other.record.newestSnapshot == (try repository.manifests.list().last?.name))
        #expect(other.record.verifiedSnapshot == other.record.newestSnapshot)
    }

    @Test func theLedgerAndTheDrillAreRead() throws {
        let time = Timestamp(seconds: 1_795_577_900)
        let health = try repository.mediaHealth(within: 1 << 40, now: time)
        // The files were copied to where they are now, after they were read.
        #expect(health.losses.isEmpty && health.damage.isEmpty && health.neverReadBytes == health.bytes)
        let ledger = try repository.ledger()
        for kind in [ObjectKind.pack, .manifest, .index, .parity] {
            for name in try repository.storage.list(kind) {
                let rows = ledger.rows(of: ObjectName(kind, name))
                #expect(rows.count == 1 && rows[0].result == .good && rows[0].time < time, "\(kind)")
            }
        }
        let drill = try #require(health.lastDrill)
        #expect(drill.isGood && drill.databases.count == 6 && drill.databases.allSatisfy(\.isGood))
        let status = try RepositoryStatus(try RepositoryCopies(repository), now: time)
        #expect(status.sources.map(\.newest.copies) == [["primary", "offsite"]])
    }

    @Test(arguments: [0.0, 0.3, 0.99]) func parityGivesBack(_ place: Double) throws {
        let pack = try #require(try TestRepository.packs(repository).first)
        let path = "\(directory.path)/packs/\(pack.prefix(2))/\(pack)"
        let good = try Bytes.read(path)
        var bad = good
        bad[Int(Double(good.count) * place)] ^= 0x10
        try Bytes.write(bad, to: path)
        let copies = try RepositoryCopies(repository)
        let healer = Healer(copies)
        let report = try healer.run(try healer.plan(try copies.find("primary")))
        #expect(report.isHealthy && report.healed.map(\.source) == [.parity])
        #expect(try Bytes.read(path) == good)
    }
}
