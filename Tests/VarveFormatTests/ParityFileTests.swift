import Testing
import VarveFormat
import VarveTestSupport

@Suite struct ParityFileTests {
    private static let repository = RepositoryID(Array(0..<16))

    /// A parity object; its parity blocks are not those of any data.
    private struct Example {
        var shape: ParityShape
        var members: [ParityMember]
        var checksums: [UInt32]
        var bytes: [UInt8]

        init(_ sizes: [Int], percent: Int, _ random: inout SeededRandom) {
            members = sizes.enumerated().map { index, size in
                let hash = random.bytes(32).withUnsafeBytes { ContentID($0) }
                return ParityMember(hash: hash, sequence: index < 2 ? 0 : UInt64(index), size: UInt32(size))
            }.sorted()
            shape = ParityShape(blocks: members.reduce(0) { $0 + $1.blocks }, percent: percent)
            var generator = random
            checksums = (0..<shape.blocks + shape.parityBlocks).map { _ in
                UInt32.random(in: 0 ... .max, using: &generator)
            }
            random = generator
            let directory = ParityFile.directory(
                repository: ParityFileTests.repository, shape: shape, members: members, checksums: checksums)
            bytes = directory + random.bytes(shape.parityBlocks * ParityShape.blockSize)
            bytes += ParityFile.reversed(directory)
        }

        var directoryLength: Int { (bytes.count - shape.parityBlocks * ParityShape.blockSize) / 2 }

        /// What is read must be what was written, or not be known.
        func check(_ bytes: [UInt8], knowsAll: Bool, _ what: @autoclosure () -> String) throws {
            let file = try ParityFile(BytesInMemory(bytes))
            #expect(file.repository == ParityFileTests.repository && file.shape == shape, "\(what())")
            #expect(file.members == members && file.length == self.bytes.count, "\(what())")
            let sums = file.checksums()
            for (index, sum) in checksums.enumerated() {
                let read = index < shape.blocks ? sums.data(index) : sums.parity(index - shape.blocks)
                #expect(read == sum || read == nil && !knowsAll, "\(what()), checksum \(index)")
            }
        }
    }

    @Test(arguments: [
        ([1], 1), ([4096], 50), ([4097, 3], 10), ([1 << 20, 5, 100], 10), ([30 << 20], 1),
        ([9 << 20, 1 << 20, 77, 78, 79], 37),
    ])
    func whatIsWrittenIsRead(_ sizes: [Int], _ percent: Int) throws {
        var random = SeededRandom()
        let example = Example(sizes, percent: percent, &random)
        try example.check(example.bytes, knowsAll: true, "seed \(random.seed)")
        let file = try ParityFile(BytesInMemory(example.bytes))
        #expect(file.offset(ofParity: 0) == example.directoryLength)
        #expect(
            file.offset(ofParity: example.shape.parityBlocks) == example.bytes.count - example.directoryLength
        )
    }

    /// At each length of the directory and around each block, and at many others: refused, or what was written; of a directory that is still there in front nothing is lost.
    @Test func truncated() throws {
        var random = SeededRandom()
        let example = Example([5000, 9000, 100], percent: 10, &random)
        for length in 0..<example.bytes.count {
            if length > example.directoryLength, (2..<4095).contains(length % 4096), length % 499 != 0 {
                continue
            }
            let bytes = Array(example.bytes.prefix(length))
            if length < example.directoryLength {
                expect(.corrupt) { _ = try ParityFile(BytesInMemory(bytes)) }
            } else {
                try example.check(bytes, knowsAll: true, "\(length) bytes")
            }
        }
    }

    @Test func flippedBitsHideNothing() throws {
        var random = SeededRandom()
        let example = Example([5000, 9000, 100], percent: 10, &random)
        for at in 0..<example.bytes.count {
            var bytes = example.bytes
            bytes[at] ^= 1 << (at % 8)
            if at > example.directoryLength, at < example.bytes.count - example.directoryLength, at % 97 != 0
            {
                continue
            }
            try example.check(bytes, knowsAll: true, "byte \(at)")
        }
    }

    /// Both ends damaged: each block of the directory is taken from where it is good; where neither is, its checksums
    /// are not known, or there is no list and the object is refused.
    @Test func damageAtBothEnds() throws {
        var random = SeededRandom()
        let example = Example([8 << 20, 9000, 100], percent: 10, &random)
        let blocks = example.directoryLength / ParityShape.blockSize
        #expect(blocks > 2)
        for front in 0..<blocks {
            for back in 0..<blocks {
                var bytes = example.bytes
                bytes[front * ParityShape.blockSize + 17] ^= 4
                bytes[bytes.count - back * ParityShape.blockSize - 99] ^= 4
                if front == 0 && back == 0 {
                    expect(.corrupt) { _ = try ParityFile(BytesInMemory(bytes)) }
                } else {
                    try example.check(bytes, knowsAll: front != back, "\(front) and \(back)")
                }
            }
        }
        var bytes = example.bytes
        bytes[2 * ParityShape.blockSize] ^= 1
        bytes[bytes.count - 3 * ParityShape.blockSize] ^= 1
        let sums = try ParityFile(BytesInMemory(bytes)).checksums()
        let unknown = example.checksums.indices.count {
            ($0 < example.shape.blocks ? sums.data($0) : sums.parity($0 - example.shape.blocks)) == nil
        }
        #expect(unknown > 0 && unknown <= 1023)
    }

    /// Numbers that can't be, with right checksums.
    @Test(arguments: [
        (12, 4, 0), (12, 4, 8192), (32, 2, 0), (32, 2, 255), (34, 2, 0), (34, 2, 256), (36, 4, 0),
        (36, 4, 0xFFFF_FFFF), (40, 4, 0), (40, 4, 0xFFFF_FFFF), (40, 4, 1 << 21), (44, 4, 0),
        (44, 4, 0xFFFF_FFFF),
        (8, 2, 2), (10, 2, 1), (48, 4, 1), (60, 4, 1), (104, 4, 0), (104, 4, 0xFFFF_FFFF), (108, 4, 1),
        (104, 4, 1 << 30),
    ])
    func hostileNumbers(_ offset: Int, _ width: Int, _ value: UInt64) throws {
        var random = SeededRandom()
        var bytes = Example([5000, 9000], percent: 10, &random).bytes
        for index in 0..<width {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
        }
        let sum = bytes[..<4092].withUnsafeBytes { CRC32C.of($0) }
        withUnsafeBytes(of: sum.littleEndian) { bytes.replaceSubrange(4092..<4096, with: $0) }
        // The other place has what was written; without it nothing is left.
        bytes[bytes.count - 1] ^= 1
        // The version, and what a later one may use.
        let isForeign = [8, 10, 48, 60, 108].contains(offset)
        expect(isForeign ? .unsupported : .corrupt) { _ = try ParityFile(BytesInMemory(bytes)) }
    }

    @Test func membersOutOfOrderAreRefused() throws {
        var random = SeededRandom()
        let example = Example([5000, 5000], percent: 10, &random)
        for members in [example.members.reversed(), [example.members[0], example.members[0]]] {
            let directory = ParityFile.directory(
                repository: Self.repository, shape: example.shape, members: Array(members),
                checksums: example.checksums)
            expect(.corrupt) { _ = try ParityFile(BytesInMemory(directory)) }
        }
    }

    /// What the shape promises, for every size and percentage.
    @Test func shapes() {
        for percent in ParityShape.percents {
            for blocks in Array(1...600) + [5000, 65_536, 1 << 20, ParityShape.maximumBlocks] {
                let shape = ParityShape(blocks: blocks, percent: percent)
                let again = ParityShape(
                    blocks: blocks, stripes: shape.stripes, dataPerStripe: shape.dataPerStripe,
                    parityPerStripe: shape.parityPerStripe)
                #expect(again == shape)
                #expect(shape.parityBlocks * 100 >= blocks * percent && shape.parityBlocks >= min(blocks, 16))
                // Not much more than was asked for, once there is something to cover.
                if blocks >= 5000 { #expect(shape.parityBlocks * 100 <= blocks * (percent + 1) + 1600) }
            }
        }
    }
}
