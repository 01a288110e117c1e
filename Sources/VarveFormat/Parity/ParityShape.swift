/// How a group of blocks is divided into stripes, and how many parity blocks each has.
///
/// Block `b` belongs to stripe `b % stripes`: neighbours are in different stripes, so a run of up to
/// `parityPerStripe * stripes` blocks, wherever it begins, takes no more from any stripe than its parity gives back.
package struct ParityShape: Hashable, Sendable {
    /// What a disk loses at once at the least.
    package static let blockSize = 4096
    /// Parity takes so much of what it covers, in hundredths.
    package static let percents = 1...50
    /// Blocks of a group, 8 GiB: its lists stay small.
    package static let maximumBlocks = 1 << 21
    /// Data and parity blocks of a stripe: one less than GF(2^8) allows.
    static let largestStripe = 255
    /// More in a stripe would stand more damage in one place, and take longer for each byte.
    static let largestDataPerStripe = 200
    /// A run of so many blocks, 64 KiB, can be lost of any group, however small: a group of tiny packs as a whole.
    static let leastBudget = 16

    /// Data blocks of the group.
    package let blocks: Int
    package let stripes: Int
    /// Of a stripe; the last ones may lie beyond the group's end, and are zeros.
    package let dataPerStripe: Int
    package let parityPerStripe: Int

    /// - Precondition: `1...maximumBlocks` blocks; a percentage in `percents`.
    package init(blocks: Int, percent: Int) {
        precondition((1...Self.maximumBlocks).contains(blocks) && Self.percents.contains(percent))
        let parity = { (data: Int) in (data * percent + 99) / 100 }
        var most = Self.largestDataPerStripe
        while most + parity(most) > Self.largestStripe { most -= 1 }
        self.blocks = blocks
        stripes = (blocks + most - 1) / most
        dataPerStripe = (blocks + stripes - 1) / stripes
        let least = (min(blocks, Self.leastBudget) + stripes - 1) / stripes
        parityPerStripe = max(parity(dataPerStripe), least)
    }

    /// Nil for what no group has. A reader takes shapes that no writer chooses.
    package init?(blocks: Int, stripes: Int, dataPerStripe: Int, parityPerStripe: Int) {
        guard (1...Self.maximumBlocks).contains(blocks), (1...blocks).contains(stripes),
            dataPerStripe == (blocks + stripes - 1) / stripes, parityPerStripe >= 1,
            dataPerStripe + parityPerStripe <= Self.largestStripe
        else { return nil }
        self.blocks = blocks
        self.stripes = stripes
        self.dataPerStripe = dataPerStripe
        self.parityPerStripe = parityPerStripe
    }

    /// So many blocks in a row can be lost and come back. Parity block `p` of stripe `s` is number `p * stripes + s`.
    package var parityBlocks: Int { parityPerStripe * stripes }

    package static func blocks(ofBytes bytes: Int) -> Int { (bytes + blockSize - 1) / blockSize }
}

/// A pack or a manifest that a parity object covers.
package struct ParityMember: Hashable, Comparable, Sendable {
    package var hash: ContentID
    /// Of a manifest, whose name has it; 0 for a pack.
    package var sequence: UInt64
    package var size: UInt32

    package init(hash: ContentID, sequence: UInt64 = 0, size: UInt32) {
        self.hash = hash
        self.sequence = sequence
        self.size = size
    }

    package var blocks: Int { ParityShape.blocks(ofBytes: Int(size)) }

    /// The order in which members lie in a group.
    package static func < (a: ParityMember, b: ParityMember) -> Bool {
        (a.sequence, a.hash) < (b.sequence, b.hash)
    }
}
