import Testing
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport
import VarveUpkeep

/// The few bytes without which nothing of a repository could be read are there twice.
@Suite struct IdentityTests {
    let bench: CopyBench
    let files: [ListedFile]

    init() throws {
        bench = try CopyBench(copies: 2)
        files = bench.files()
        try bench.backup(files)
    }

    enum Damage: CaseIterable { case flip, truncation, loss }

    private func path(_ label: String, _ name: String) -> String { Path.join(bench.path(label), name) }

    private func damage(_ label: String, _ name: String, _ damage: Damage) throws {
        let path = path(label, name)
        var bytes = try Bytes.read(path)
        switch damage {
        case .flip: bytes[bytes.count / 2] ^= 4
        case .truncation: bytes.removeLast(bytes.count / 3)
        case .loss: return try Directory.removeFile(path)
        }
        try Bytes.write(bytes, to: path)
    }

    private func quarantined(_ label: String, _ name: String) throws -> Int {
        try Directory.list(path(label, "quarantine")).count { $0.hasPrefix("\(name)-") }
    }

    @Test(arguments: RepositoryIdentity.fileNames, Damage.allCases)
    func oneIsOutlivedAndMended(_ name: String, _ damage: Damage) throws {
        let good = try Bytes.read(path("a", name))
        try self.damage("a", name, damage)
        // One that is lost without a trace is as if an earlier version had made none.
        let isUnnoticed = name == RepositoryIdentity.fileName && damage == .loss
        let repository = try bench.repository("a")
        #expect(repository.identityDamage.map(\.text) == (isUnnoticed ? [] : [name]))
        try bench.expectRestores(files, of: "a")
        let report = try Verifier(repository).verifyContent()
        #expect(report.findings.map(\.text) == (isUnnoticed ? [] : [name]) && report.losses.isEmpty)
        let problems = try RepositoryStatus(try bench.copies()).problems
        #expect(
            problems.contains { $0.hasPrefix("\(name) of 'a' is damaged") } == !isUnnoticed, "\(problems)")
        // A backup is not the time to refuse.
        #expect(try bench.backup(files, required: 2).copies.allSatisfy(\.isAcknowledged))

        let copies = try bench.copies()
        let healer = Healer(copies)
        let plan = try healer.plan(try copies.find("a"))
        #expect(plan.damaged.map(\.text) == (isUnnoticed ? [] : [name]))
        let healed = try healer.run(plan)
        #expect(healed.healed.map { "\($0.place)" } == (isUnnoticed ? [] : [name]))
        #expect(try Bytes.read(path("a", name)) == good)
        #expect(try quarantined("a", name) == (damage == .loss ? 0 : 1))
        #expect(try bench.repository("a").identityDamage.isEmpty)
        #expect(try Verifier(try bench.repository("a")).verifyMedia().isGood)
    }

    /// `varve.json` is the same in all copies.
    @Test func anotherCopyGivesWhatIsDamagedTwice() throws {
        let good = try Bytes.read(path("b", "varve.json"))
        try damage("b", "varve.json", .flip)
        try damage("b", "identity.json", .truncation)
        let copies = try bench.copies()
        #expect(try !copies.find("b").isThere)
        let problems = try RepositoryStatus(copies).problems
        #expect(
            problems.contains { $0.hasPrefix("varve.json or copy.json of 'b' is damaged") }, "\(problems)")
        #expect(try copies.healIdentities() == ["b"])
        #expect(try Bytes.read(path("b", "varve.json")) == good && quarantined("b", "varve.json") == 1)
        let again = try bench.copies()
        let healer = Healer(again)
        let report = try healer.run(try healer.plan(try again.find("b")))
        #expect(report.healed.map { "\($0.place)" } == ["identity.json"])
        #expect(try Verifier(try bench.repository("b")).verifyContent().isGood)
        #expect(try bench.copies().healIdentities().isEmpty)
    }

    /// What does not say which disk it is may be any.
    @Test func aDiskThatDoesNotSayWhichItIsStaysAway() throws {
        try damage("b", "copy.json", .flip)
        try damage("b", "identity.json", .flip)
        let before = try bench.everything("b")
        let copies = try bench.copies()
        #expect(try !copies.find("b").isThere)
        #expect(try copies.healIdentities().isEmpty)
        #expect(try bench.everything("b") == before)
    }

    @Test func theSecondOneOfAnotherDiskIsNotBelieved() throws {
        _ = try Repository.create(at: bench.path("other"))
        try Bytes.write(try Bytes.read(path("other", "identity.json")), to: path("a", "identity.json"))
        #expect(try bench.repository("a").identityDamage.map(\.text) == ["identity.json"])
        try damage("a", "copy.json", .flip)
        expect(.corrupt) { try bench.repository("a") }
    }

    @Test func initDoesNotTakeOverWhatLostItsName() throws {
        try Directory.removeFile(path("a", "varve.json"))
        try Directory.removeFile(path("a", "identity.json"))
        let before = try bench.everything("a")
        expect(.invalid) { try Repository.create(at: bench.path("a")) }
        expect(.corrupt) { try bench.repository("a") }
        #expect(try bench.everything("a") == before)
    }

    @Test func anEarlierRepositoryGetsItWithTheNextBackup() throws {
        let good = try ["a", "b"].map { try Bytes.read(path($0, "identity.json")) }
        for label in ["a", "b"] { try Directory.removeFile(path(label, "identity.json")) }
        try bench.backup(files)
        #expect(try ["a", "b"].map { try Bytes.read(path($0, "identity.json")) } == good)
    }
}
