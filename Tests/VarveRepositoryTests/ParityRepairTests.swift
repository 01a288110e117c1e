import Testing
import VarveFiles
import VarveFormat
import VarveStorage
import VarveTestSupport

@testable import VarveRepository
@testable import VarveUpkeep

@Suite struct ParityRepairTests {
    private static let sizes = [1_500_000, 90_000, 4096, 700_001, 3, 20_000, 300_000]

    /// Damage that no stripe has too much of: runs, scattered blocks, lost and truncated members, all at once.
    private func affordable(_ group: ParityGroup, _ random: inout SeededRandom) -> Set<Int> {
        let shape = group.shape
        let kind = Int.random(in: 0...2, using: &random)
        if kind == 0 {
            let count = Int.random(in: 1...min(shape.parityBlocks, shape.blocks), using: &random)
            let start = Int.random(in: 0...shape.blocks - count, using: &random)
            return Set(start..<start + count)
        }
        var counts: [Int: Int] = [:]
        var blocks: Set<Int> = []
        let wanted = kind == 1 ? shape.parityBlocks : Int.random(in: 1...10, using: &random)
        for block in (0..<shape.blocks).shuffled(using: &random).prefix(wanted)
        where counts[block % shape.stripes, default: 0] < shape.parityPerStripe {
            counts[block % shape.stripes, default: 0] += 1
            blocks.insert(block)
        }
        return blocks
    }

    /// Members as their blocks are damaged, some of them gone or cut where all that follows is.
    private func spoil(
        _ fixture: ParityFixture, _ blocks: Set<Int>, _ kind: ParityFixture.Damage,
        _ random: inout SeededRandom
    ) throws {
        try fixture.damage(blocks, kind, &random)
        let reader = ParityGroupReader(fixture.storage, try fixture.group().members)
        for member in reader.members.indices where Bool.random(using: &random) {
            let own = reader.blocks(of: member)
            let object = reader.members[member].object
            if own.allSatisfy(blocks.contains) {
                try fixture.lose(object)
            } else if let cut = own.first(where: { ($0..<own.upperBound).allSatisfy(blocks.contains) }),
                let bytes = try fixture.bytes(object)
            {
                try fixture.write(Array(bytes.prefix((cut - own.lowerBound) * 4096 + 7)), object)
            }
        }
    }

    @Test(arguments: [(10, 0), (1, 1), (50, 2)])
    func affordableDamageIsRepaired(_ percent: Int, _ number: Int) throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: Self.sizes, percent: percent, &random)
        let group = try fixture.group()
        #expect(try fixture.groups().count == 1 && group.members.count == Self.sizes.count + 3)
        for round in 0..<(Soak.isWanted ? 200 : 12) {
            let blocks = affordable(group, &random)
            let kind = ParityFixture.Damage.allCases[round % 3]
            try spoil(fixture, blocks, kind, &random)
            let damaged = try fixture.state()
            let trial = try fixture.healer().heal(fixture.objects, isTrial: true)
            #expect(try fixture.state() == damaged, "a trial changes nothing")
            let outcomes = try fixture.healer().heal(fixture.objects)
            let comment: Comment = "round \(round), \(blocks.count) blocks, \(kind), seed \(random.seed)"
            #expect(outcomes == trial, comment)
            #expect(try fixture.state() == fixture.originals, comment)
            for outcome in outcomes {
                let object = try #require(fixture.objects.first { $0 == outcome.object })
                let isDamaged = damaged[object] != fixture.originals[object]
                #expect(outcome.result == (isDamaged ? .healed : .whole), comment)
                #expect(outcome.damaged.isEmpty != isDamaged, comment)
            }
            // What was there is kept.
            let kept = try Directory.list(Path.join(fixture.repository.path, "quarantine"))
            let replaced = damaged.filter { fixture.originals[$0.key] != $0.value }
            #expect(kept.count == replaced.count, comment)
            try fixture.restore()
        }
        try fixture.requireNoTemporaryFiles()
    }

    /// As many bad blocks in one stripe as it has parity are repaired; one more is not, nothing changes, and what is
    /// said is exact.
    @Test func oneBlockMoreIsBeyond() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: Self.sizes, &random)
        let group = try fixture.group()
        let (shape, stripe) = (group.shape, Int.random(in: 0..<group.shape.stripes, using: &random))
        let reader = ParityGroupReader(fixture.storage, group.members)
        let rows = (0..<shape.dataPerStripe).filter { $0 * shape.stripes + stripe < shape.blocks }
        for excess in 0...2 {
            let chosen = rows.shuffled(using: &random).prefix(shape.parityPerStripe + excess)
            let blocks = Set(chosen.map { $0 * shape.stripes + stripe })
            try fixture.damage(blocks, .noise, &random)
            let damaged = try fixture.state()
            let outcomes = try fixture.healer().heal(fixture.objects)
            if excess == 0 {
                #expect(try fixture.state() == fixture.originals, "seed \(random.seed)")
            } else {
                #expect(try fixture.state() == damaged, "seed \(random.seed)")
                for (number, member) in reader.members.enumerated() {
                    let outcome = try #require(outcomes.first { $0.object == member.object })
                    let own = blocks.filter(reader.blocks(of: number).contains).sorted()
                    #expect(outcome.result == (own.isEmpty ? .whole : .beyond))
                    if own.isEmpty { continue }
                    let shortfall = try #require(outcome.shortfall)
                    #expect(shortfall.stripes == [excess: 1] && !shortfall.isWrong)
                    #expect(shortfall.budget == shape.parityPerStripe)
                    let starts = own.map { UInt64(($0 - reader.starts[number]) * 4096) }
                    #expect(starts.allSatisfy { start in shortfall.lost.contains { $0.contains(start) } })
                    #expect(shortfall.lost == outcome.damaged)
                }
            }
            try fixture.restore()
        }
    }

    /// A stripe that lost too much takes down what has a bad block in it, and nothing else.
    @Test func othersAreRepairedAllTheSame() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: Self.sizes, &random)
        let group = try fixture.group()
        let reader = ParityGroupReader(fixture.storage, group.members)
        let large = try #require(
            group.members.indices.max { group.members[$0].size < group.members[$1].size })
        let blocks = reader.blocks(of: large).filter { $0 % group.shape.stripes == 0 }
        #expect(blocks.count > group.shape.parityPerStripe)
        let small = try #require(group.members.indices.first { $0 != large && group.members[$0].blocks > 1 })
        let other = try #require(reader.blocks(of: small).first { $0 % group.shape.stripes != 0 })
        try fixture.damage(Set(blocks + [other]), .zeros, &random)
        let outcomes = try fixture.healer().heal(fixture.objects)
        let results = Dictionary(uniqueKeysWithValues: outcomes.map { ($0.object, $0.result) })
        for (number, member) in group.members.enumerated() {
            let expected: ParityHealer.ObjectReport.Verdict =
                number == large ? .beyond : number == small ? .healed : .whole
            #expect(results[member.object] == expected, "seed \(random.seed)")
        }
    }

    @Test func withoutParityNothingIsRepaired() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: [9000, 100], percent: nil, &random)
        let victim = try #require(fixture.objects.first { $0.kind == .pack })
        try fixture.write([1, 2, 3], victim)
        let before = try fixture.state()
        let outcomes = try fixture.healer().heal(fixture.objects)
        #expect(outcomes.allSatisfy { $0.result == .uncovered } && outcomes.count == fixture.objects.count)
        #expect(try fixture.state() == before)
        #expect(try fixture.healer().missing().isEmpty)
    }

    /// Sectors that give an error instead of bytes, in members and in the parity object.
    @Test func unreadableSectors() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: Self.sizes, &random)
        let group = try fixture.group()
        let reader = ParityGroupReader(fixture.storage, group.members)
        for round in 0..<8 {
            var spoiled: [ObjectName: Set<Int>] = [:]
            for block in affordable(group, &random) {
                let member = reader.member(of: block)
                spoiled[group.members[member].object, default: []].insert(block - reader.starts[member])
            }
            // The list in front, too.
            spoiled[group.object] = Set(0..<group.file.offset(ofParity: 0) / 4096)
            let storage = SpoiledStorage(fixture.storage, spoiled)
            let outcomes = try fixture.healer(storage).heal(fixture.objects)
            for outcome in outcomes {
                let object = try #require(fixture.objects.first { $0 == outcome.object })
                let expected: ParityHealer.ObjectReport.Verdict = spoiled[object] == nil ? .whole : .healed
                #expect(outcome.result == expected, "round \(round), seed \(random.seed)")
            }
            let parity = try fixture.healer(storage).healParity()
            #expect(parity.map(\.result) == [.healed])
            #expect(try fixture.state() == fixture.originals)
            #expect(try fixture.healer(storage).healParity().map(\.result) == [.whole])
            try fixture.restore()
        }
    }

    @Test func manifestsComeBack() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: [2_000_000], manifests: 12, &random)
        let manifests = fixture.objects.filter { $0.kind == .manifest }
        for manifest in manifests.prefix(5) { try fixture.lose(manifest) }
        #expect(try fixture.healer().missing() == Set(manifests.prefix(5)))
        let outcomes = try fixture.healer().heal(Set(manifests.prefix(5)))
        #expect(outcomes.allSatisfy { $0.result == .healed })
        #expect(try fixture.state() == fixture.originals)
    }

    /// A shard that is gone, with the packs in it.
    @Test func lostDirectories() throws {
        var random = SeededRandom()
        let fixture = try ParityFixture(packs: [2_000_000, 50_000, 60_000], &random)
        let victim = try #require(fixture.originals.first { $0.value.count == 60_000 }?.key)
        try Directory.removeTree(Path.parent(fixture.storage.path(of: victim)))
        #expect(try fixture.healer().heal([victim]).map(\.result) == [.healed])
        #expect(try fixture.bytes(victim) == fixture.originals[victim])
    }
}
