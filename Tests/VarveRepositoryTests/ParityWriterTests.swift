import Testing
import VarveFiles
import VarveFormat
import VarveStorage
import VarveTestSupport

@testable import VarveRepository
@testable import VarveUpkeep

@Suite struct ParityWriterTests {
    private static let sizes = [500_000, 90_000, 4096, 300_001, 3]

    private func complaints(_ fixture: ParityFixture) throws -> [Finding] {
        try Verifier(fixture.repository).verifyMedia().findings
    }

    /// Each byte of the parity object that is damaged shows, and is made anew as it was.
    @Test func damagedParityIsNamedAndMadeAnew() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: Self.sizes, &random)
        let object = try fixture.group().object
        let good = try #require(try fixture.bytes(object))
        #expect(try complaints(fixture).isEmpty)
        for round in 0..<30 {
            var bytes = good
            switch round % 3 {
            case 0: bytes[Int.random(in: bytes.indices, using: &random)] ^= 1
            case 1: bytes = Array(bytes.prefix(Int.random(in: 8192..<bytes.count, using: &random)))
            default:
                let start = Int.random(in: bytes.indices, using: &random) / 4096 * 4096
                bytes.replaceSubrange(start..<start + 4096, with: repeatElement(0, count: 4096))
            }
            try fixture.write(bytes, object)
            #expect(try complaints(fixture).map(\.text) == ["\(object)"], "seed \(random.seed)")
            #expect(
                try fixture.healer().healParity().map(\.result) == [.healed], "seed \(random.seed)")
            #expect(try fixture.bytes(object) == good)
            #expect(try complaints(fixture).isEmpty)
        }
    }

    /// A damaged parity object repairs what it still can: the budget is that of both together.
    @Test func damagedParityAndDamagedPacks() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: Self.sizes, &random)
        let group = try fixture.group()
        let (shape, object) = (group.shape, group.object)
        let good = try #require(try fixture.bytes(object))
        for round in 0..<12 {
            var (bytes, blocks) = (good, Set<Int>())
            for stripe in 0..<shape.stripes {
                let rows = (0..<shape.dataPerStripe).filter { $0 * shape.stripes + stripe < shape.blocks }
                let data = min(rows.count, Int.random(in: 0...shape.parityPerStripe, using: &random))
                for row in rows.shuffled(using: &random).prefix(data) {
                    blocks.insert(row * shape.stripes + stripe)
                }
                let parity = (0..<shape.parityPerStripe).shuffled(using: &random).prefix(
                    shape.parityPerStripe - data)
                for row in parity {
                    let offset = group.file.offset(ofParity: row * shape.stripes + stripe)
                    bytes.replaceSubrange(offset..<offset + 4096, with: repeatElement(0xEE, count: 4096))
                }
            }
            // And one of the two lists.
            let list = group.file.offset(ofParity: 0)
            bytes.replaceSubrange(
                round % 2 == 0 ? 0..<list : bytes.count - list..<bytes.count,
                with: repeatElement(0, count: list))
            try fixture.write(bytes, object)
            try fixture.damage(blocks, .noise, &random)
            let left = try fixture.healer().healParity()
            #expect(left.map(\.result) == [blocks.isEmpty ? .healed : .left])
            #expect(left.allSatisfy { $0.damagedMembers.isEmpty == blocks.isEmpty })
            let outcomes = try fixture.healer().heal(fixture.objects)
            #expect(
                outcomes.allSatisfy { $0.result == .healed || $0.result == .whole }, "seed \(random.seed)")
            #expect(try fixture.state() == fixture.originals, "seed \(random.seed)")
            #expect(
                try fixture.healer().healParity().allSatisfy {
                    $0.result == .healed || blocks.isEmpty
                })
            #expect(try fixture.bytes(object) == good)
            try fixture.restore()
        }
    }

    /// Without any list a parity object is of no use: it is set aside, and the next run covers anew.
    @Test func unreadableParityIsSetAside() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: Self.sizes, &random)
        let object = try fixture.group().object
        let good = try #require(try fixture.bytes(object))
        try fixture.write([UInt8](repeating: 0, count: good.count), object)
        #expect(try ParityStatus(fixture.repository).damagedGroups == 1)
        #expect(try fixture.healer().healParity().map(\.result) == [.setAside])
        #expect(try fixture.bytes(object) == nil)
        try fixture.cover()
        #expect(try fixture.bytes(object) == good)
        try fixture.write([], object)
        try fixture.cover()
        #expect(try fixture.bytes(object) == good)
    }

    /// Run by run: small groups become one, and nothing is uncovered in between.
    @Test func groupsAreMerged() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: [10_000], &random)
        for size in [5000, 200_000, 17, 40_000] {
            try fixture.addPack(size, &random)
            #expect(try ParityStatus(fixture.repository).uncovered.count == 1)
            let report = try fixture.cover()
            #expect(report.groupsWritten == 1 && report.groupsRemoved == 1 && report.skipped.isEmpty)
            #expect(try fixture.groups().count == 1)
            #expect(try ParityStatus(fixture.repository).uncovered.isEmpty)
        }
        #expect(try fixture.cover().groupsWritten == 0)
        #expect(try fixture.group().members.count == fixture.objects.count)
        try fixture.requireNoTemporaryFiles()
    }

    @Test func completeGroupsStay() throws {
        var random = SeededRandom()
        var policy = ParityPolicy()
        policy.complete = 100
        policy.small = 10
        let sizes = (0..<12).map { _ in 160_000 }
        let fixture = try ParityFixture(packs: sizes, percent: nil, &random)
        try fixture.cover(40, policy: policy)
        let before = try fixture.groups()
        #expect(before.count >= 3)
        try fixture.addPack(8000, &random)
        try fixture.cover(40, policy: policy)
        let after = Set(try fixture.groups().map(\.name))
        #expect(before.filter { $0.shape.blocks >= 100 }.allSatisfy { after.contains($0.name) })
        // One lost pack of each group, and two of none.
        for group in try fixture.groups() where group.shape.parityBlocks >= 40 {
            let pack = try #require(group.members.first { $0.sequence == 0 && $0.size > 9000 })
            try fixture.lose(pack.object)
        }
        let lost = try fixture.healer().missing()
        #expect(lost.count >= 3)
        #expect(
            try fixture.healer().heal(lost).allSatisfy { $0.result == .healed }, "seed \(random.seed)")
        #expect(try fixture.state() == fixture.originals)
    }

    /// What is damaged is not covered, and said; the group that can give it back stays until it has.
    @Test func parityNeverKeepsDamage() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: Self.sizes, &random)
        let old = try fixture.group()
        let victim = try #require(old.members.first { $0.size == 90_000 }).object
        let spoiled = try #require(try block(of: victim, in: fixture))
        try fixture.damage([spoiled], .flip, &random)
        try fixture.addPack(7000, &random)
        let report = try fixture.cover()
        #expect(report.skipped.map(\.text) == ["\(victim)"] && report.groupsRemoved == 0)
        #expect(Set(try fixture.groups().map(\.name)).contains(old.name))
        #expect(
            try fixture.groups().filter { $0.name != old.name }.allSatisfy {
                !$0.members.map(\.object).contains(victim)
            })
        #expect(try fixture.healer().heal([victim]).map(\.result) == [.healed])
        #expect(try fixture.state() == fixture.originals)
        try fixture.addPack(70, &random)
        #expect(try fixture.cover().skipped.isEmpty)
        #expect(try fixture.groups().count == 1)
    }

    private func block(of object: ObjectName, in fixture: ParityFixture) throws -> Int? {
        let reader = ParityGroupReader(fixture.storage, try fixture.group().members)
        return reader.members.firstIndex { $0.object == object }.map { reader.starts[$0] + 1 }
    }

    @Test func anotherPercentage() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: Self.sizes, &random)
        let before = try fixture.group()
        #expect(try fixture.repository.parity() == 10)
        let report = try fixture.repository.addParity(percent: 30)
        #expect(report.groupsWritten == 1 && report.groupsRemoved == 1)
        #expect(try fixture.repository.parity() == 30)
        let after = try fixture.group()
        #expect(
            after.name != before.name && after.shape == ParityShape(blocks: before.shape.blocks, percent: 30))
        #expect(try fixture.repository.addParity(percent: 30).groupsWritten == 0)
        for percent in [0, 51, -1] {
            expect(.invalid) { _ = try fixture.repository.addParity(percent: percent) }
        }
    }

    /// A damaged setting is said, and never read as another.
    @Test func theSettingIsSealed() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: [10], percent: nil, &random)
        _ = try fixture.repository.addParity(percent: 10)
        let path = Path.join(fixture.repository.path, "parity.json")
        let good = try Bytes.read(path)
        for at in good.indices {
            var bytes = good
            bytes[at] ^= 1 << (at % 8)
            try Bytes.write(bytes, to: path)
            expect(.corrupt, "byte \(at)") { _ = try fixture.repository.parity() }
        }
        #expect(try complaints(fixture).map(\.text) == ["parity.json"])
        if case .failure? = fixture.repository.updateParity() {} else { Issue.record("it is no failure") }
        _ = try fixture.repository.addParity(percent: 10)
        #expect(try Bytes.read(path) == good)
        // Another repository's.
        let other = try Repository.create(at: fixture.directory.join("other"), parity: 10)
        #expect(try other.parity() == 10)
        try Bytes.write(good, to: Path.join(other.path, "parity.json"))
        expect(.corrupt) { _ = try other.parity() }
    }

    /// A repository that was made before there was parity has no directory for it.
    @Test func anOlderRepository() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: [5000], percent: nil, &random)
        try Directory.removeEmpty(Path.join(fixture.repository.path, "parity"))
        #expect(try ParityStatus(fixture.repository).groups == 0)
        #expect(try complaints(fixture).isEmpty)
        if fixture.repository.updateParity() != nil { Issue.record("none was asked for") }
        #expect(try fixture.repository.addParity(percent: 5).groupsWritten == 1)
        #expect(try complaints(fixture).isEmpty)
    }

    /// An `init` that was killed after it wrote the setting is taken up again.
    @Test func anUnfinishedInit() throws {
        let directory = try TemporaryDirectory()
        let path = directory.join("new")
        _ = try Repository.create(at: path, parity: 10)
        try Directory.removeFile(Path.join(path, "varve.json"))
        #expect(try Repository.create(at: path, parity: 20).parity() == 20)
        expect(.invalid) {
            _ = try Repository.create(at: directory.join("other"), parity: 60)
        }
    }
}
