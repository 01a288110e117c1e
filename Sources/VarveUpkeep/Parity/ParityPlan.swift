import VarveFormat

/// When groups are large enough to be left alone, in blocks.
package struct ParityPolicy: Sendable {
    /// 256 MiB: larger ones gain little, and take longer to make and to heal from.
    package var complete = 1 << 16
    /// 4 GiB, if it takes so much for the parity to be as large as a pack.
    package var largest = 1 << 20
    /// 32 MiB: what is smaller is always merged, as reading it again costs a tenth of a second.
    package var small = 1 << 13

    package init() {}

    /// Whether a group needs no more members: it is large, and can give back any of them as a whole.
    func isComplete(blocks: Int, largestMember: Int, percent: Int) -> Bool {
        if blocks >= largest { return true }
        guard blocks >= complete else { return false }
        return ParityShape(blocks: blocks, percent: percent).parityBlocks >= largestMember
    }
}

/// Which groups are to be made: a value, decided without looking at a byte.
struct ParityPlan: Equatable {
    /// Members of each, in order.
    var groups: [[ParityMember]] = []
    /// What an old group covers, by its name: it goes when new ones cover all of it.
    var merged: [String: [ParityMember]] = [:]

    /// Covers what no group covers, together with groups that are small: those of less than 32 MiB, and incomplete
    /// ones at most twice as large as what was gathered so far. So there are few groups, and each byte is read again a
    /// number of times that grows with the logarithm of the size of a complete group.
    ///
    /// - Parameters:
    ///   - stored: every pack and manifest; those that a group covers may be left out.
    ///   - renewing: groups of another percentage are made anew.
    init(
        covering stored: Set<ParityMember>,
        groups: [(name: String, shape: ParityShape, members: [ParityMember])],
        percent: Int, renewing: Bool, policy: ParityPolicy
    ) {
        // By name: a damaged object may have another size, and is covered all the same.
        let covered = Set(groups.lazy.flatMap(\.members).map(\.identity))
        var gathered = stored.filter { !covered.contains($0.identity) }
        var left = groups
        if renewing {
            left = groups.filter { $0.shape == ParityShape(blocks: $0.shape.blocks, percent: percent) }
            for group in groups where group.shape != ParityShape(blocks: group.shape.blocks, percent: percent)
            {
                merged[group.name] = group.members
                gathered.formUnion(group.members)
            }
        }
        guard !gathered.isEmpty else { return }
        var blocks = gathered.reduce(0) { $0 + $1.blocks }
        for group in left.sorted(by: { ($0.shape.blocks, $0.name) < ($1.shape.blocks, $1.name) }) {
            if group.shape.blocks >= policy.small, group.shape.blocks > 2 * blocks { break }
            let largest = group.members.lazy.map(\.blocks).max() ?? 0
            if policy.isComplete(blocks: group.shape.blocks, largestMember: largest, percent: percent) {
                continue
            }
            merged[group.name] = group.members
            let before = gathered.count
            gathered.formUnion(group.members)
            if gathered.count > before { blocks += group.shape.blocks }
        }
        self.groups = Self.divide(gathered.sorted(), percent, policy)
    }

    /// In the order of names, which is no order of time: what lies side by side on the disk, written by one backup, is
    /// in several groups once there are several.
    private static func divide(
        _ members: [ParityMember], _ percent: Int, _ policy: ParityPolicy
    ) -> [[ParityMember]] {
        var groups: [[ParityMember]] = []
        var current: [ParityMember] = []
        var (blocks, largest) = (0, 0)
        for member in members {
            current.append(member)
            blocks += member.blocks
            largest = max(largest, member.blocks)
            if policy.isComplete(blocks: blocks, largestMember: largest, percent: percent) {
                groups.append(current)
                current = []
                (blocks, largest) = (0, 0)
            }
        }
        return current.isEmpty ? groups : groups + [current]
    }
}
