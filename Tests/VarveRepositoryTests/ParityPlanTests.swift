import Testing
import VarveFormat
import VarveTestSupport

@testable import VarveRepository
@testable import VarveUpkeep

@Suite struct ParityPlanTests {
    private static func member(_ number: Int, blocks: Int) -> ParityMember {
        var random = SeededRandom(seed: UInt64(number))
        let hash = random.bytes(32).withUnsafeBytes { ContentID($0) }
        return ParityMember(hash: hash, size: UInt32(blocks * 4096))
    }

    private typealias Group = (name: String, shape: ParityShape, members: [ParityMember])

    private static func group(_ members: [ParityMember], percent: Int = 10) -> Group {
        let blocks = members.reduce(0) { $0 + $1.blocks }
        let shape = ParityShape(blocks: blocks, percent: percent)
        return ("\(members[0].hash.short)-\(blocks)", shape, members.sorted())
    }

    private func plan(
        _ members: [ParityMember], _ groups: [Group], percent: Int = 10, renewing: Bool = false
    ) -> ParityPlan {
        ParityPlan(
            covering: Set(members), groups: groups, percent: percent, renewing: renewing,
            policy: ParityPolicy())
    }

    @Test func nothingNewIsNothingToDo() {
        let members = (0..<3).map { Self.member($0, blocks: 100) }
        #expect(plan(members, [Self.group(members)]).groups.isEmpty)
        #expect(plan([], []).groups.isEmpty)
    }

    /// A backup a day, for years: few groups, none read again too often, and everything covered.
    @Test func groupsStayFew() {
        var groups: [Group] = []
        var members: [ParityMember] = []
        var written = 0
        for day in 0..<1000 {
            members.append(Self.member(day, blocks: 300 + day % 7 * 100))
            let plan = plan(members, groups)
            groups.removeAll { plan.merged[$0.name] != nil }
            groups += plan.groups.map { Self.group($0) }
            written += plan.groups.joined().reduce(0) { $0 + $1.blocks }
        }
        let blocks = members.reduce(0) { $0 + $1.blocks }
        #expect(Set(groups.flatMap(\.members)) == Set(members))
        #expect(groups.reduce(0) { $0 + $1.members.count } == members.count, "each in one group")
        #expect(groups.count <= blocks / (1 << 16) + 8, "\(groups.count) groups")
        #expect(written < 12 * blocks, "\(written) blocks written for \(blocks)")
        #expect(groups.reduce(0) { $0 + $1.shape.parityBlocks } * 100 < 11 * blocks)
    }

    /// However small the percentage, a group that is left alone gives back its largest member.
    @Test(arguments: [1, 3, 10, 50]) func completeGroupsGiveBackAPack(_ percent: Int) {
        let members = (0..<600).map { Self.member($0, blocks: 4100) }
        let groups = plan(members, [], percent: percent).groups
        #expect(groups.count > 1)
        for group in groups.dropLast() {
            let shape = ParityShape(blocks: group.reduce(0) { $0 + $1.blocks }, percent: percent)
            #expect(shape.parityBlocks >= 4100)
            #expect(shape.blocks >= 1 << 16)
        }
    }

    @Test func anotherPercentageRenews() {
        let members = (0..<40).map { Self.member($0, blocks: 4100) }
        let groups = plan(members, []).groups.map { Self.group($0) }
        #expect(plan(members, groups, percent: 20).groups.isEmpty)
        #expect(plan(members, groups, percent: 10, renewing: true).groups.isEmpty)
        let renewed = plan(members, groups, percent: 20, renewing: true)
        #expect(renewed.merged.count == groups.count)
        #expect(Set(renewed.groups.joined()) == Set(members))
    }

    /// A damaged pack of another size is not new.
    @Test func aTruncatedMemberIsNotNew() {
        var members = (0..<3).map { Self.member($0, blocks: 100) }
        let group = Self.group(members)
        members[1].size = 17
        #expect(plan(members, [group]).groups.isEmpty)
    }
}
