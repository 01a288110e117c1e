import Testing
import VarveCodec
import VarveFormat
import VarveTestSupport

@Suite struct ErasureCodeTests {
    /// A stripe with its parity.
    private final class Stripe {
        let code: ErasureCode
        let length: Int
        let memory: UnsafeMutableRawBufferPointer
        let original: [[UInt8]]

        init(_ data: Int, _ parity: Int, length: Int, _ random: inout SeededRandom) {
            code = ErasureCode(dataCount: data, parityCount: parity)
            self.length = length
            memory = .allocate(byteCount: (data + parity) * length, alignment: 16)
            memory.copyBytes(from: random.bytes(data * length))
            let blocks = (0..<data + parity).map { [memory] in memory.baseAddress! + $0 * length }
            code.encode(
                blocks[..<data].map { UnsafeRawPointer($0) }, into: Array(blocks[data...]), length: length)
            original = blocks.map { Array(UnsafeRawBufferPointer(start: $0, count: length)) }
        }

        deinit { memory.deallocate() }

        private func pointer(_ block: Int) -> UnsafeMutableRawPointer { memory.baseAddress! + block * length }

        /// Overwrites the blocks and computes those that are data; whether all of these are as they were.
        func comesBack(without erased: [Int]) -> Bool {
            for block in erased {
                pointer(block).initializeMemory(as: UInt8.self, repeating: 0xA5, count: length)
            }
            let missing = erased.filter { $0 < code.dataCount }
            if !missing.isEmpty {
                let parity = (0..<code.parityCount).filter { !erased.contains($0 + code.dataCount) }
                let decoder = code.decoder(missing: missing, parity: parity)
                decoder.decode(
                    decoder.sources.map { UnsafeRawPointer(pointer($0)) }, into: missing.map { pointer($0) },
                    length: length)
            }
            let isWhole = missing.allSatisfy {
                UnsafeRawBufferPointer(start: pointer($0), count: length).elementsEqual(original[$0])
            }
            for block in erased { memory[(block * length)...].copyBytes(from: original[block]) }
            return isWhole
        }
    }

    private func subsets(of count: Int, size: Int) -> [[Int]] {
        if size == 0 { return [[]] }
        return (size - 1..<max(size - 1, count)).flatMap { last in
            subsets(of: last, size: size - 1).map { $0 + [last] }
        }
    }

    /// Every way to lose as many blocks as there is parity, or fewer.
    @Test func everyPatternOfSmallStripes() {
        var random = SeededRandom()
        for data in 1...6 {
            for parity in 1...4 {
                let stripe = Stripe(data, parity, length: 96, &random)
                for size in 0...parity {
                    for erased in subsets(of: data + parity, size: size) {
                        #expect(
                            stripe.comesBack(without: erased),
                            "\(data) + \(parity) without \(erased), seed \(random.seed)")
                    }
                }
            }
        }
    }

    /// As large as stripes can be, and of lengths that fit no register.
    @Test(arguments: [(200, 20), (170, 85), (1, 254), (254, 1), (128, 127), (200, 2), (16, 16)])
    func largeStripes(_ data: Int, _ parity: Int) {
        var random = SeededRandom()
        for length in [1, 31, 33, 4096, 9000] {
            let stripe = Stripe(data, parity, length: length, &random)
            for _ in 0..<2 {
                let erased = Array((0..<data + parity).shuffled(using: &random).prefix(parity)).sorted()
                #expect(
                    stripe.comesBack(without: erased),
                    "\(data) + \(parity) of \(length) without \(erased), seed \(random.seed)")
            }
            #expect(stripe.comesBack(without: Array(0..<min(data, parity))))
        }
    }

    /// The code is that of the document: this much of it is computed here a second time.
    @Test func theMatrixIsAsDocumented() {
        func multiply(_ a: UInt8, _ b: UInt8) -> UInt8 {
            var (a, b, product) = (UInt16(a), b, UInt16(0))
            while b > 0 {
                if b & 1 == 1 { product ^= a }
                a <<= 1
                if a & 0x100 != 0 { a ^= 0x11D }
                b >>= 1
            }
            return UInt8(product)
        }
        var random = SeededRandom()
        let (data, parity) = (7, 5)
        let stripe = Stripe(data, parity, length: 40, &random)
        for row in 0..<parity {
            for at in 0..<40 {
                let sum = (0..<data).reduce(UInt8(0)) { sum, block in
                    let denominator = UInt8((data + row) ^ block)
                    let inverse = (1...255 as ClosedRange<UInt8>).first { multiply($0, denominator) == 1 }
                    return sum ^ multiply(inverse ?? 0, stripe.original[block][at])
                }
                #expect(sum == stripe.original[data + row][at], "seed \(random.seed)")
            }
        }
    }

    /// The control: a block that is lost and not counted gives wrong bytes.
    @Test func oneMoreIsTooMany() {
        var random = SeededRandom()
        let stripe = Stripe(8, 2, length: 64, &random)
        stripe.memory[5 * 64] ^= 1
        #expect(!stripe.comesBack(without: [0, 1]))
    }

    @Test func checksumsAreThoseOfTheFormat() {
        var random = SeededRandom()
        for count in [0, 1, 7, 8, 100, 4095, 4096] {
            let bytes = random.bytes(count)
            let padded = bytes + [UInt8](repeating: 0, count: 4096 - count)
            let expected = padded.withUnsafeBytes { CRC32C.of($0) }
            #expect(bytes.withUnsafeBytes { BlockChecksum.of($0) } == expected)
            #expect(padded.withUnsafeBytes { BlockChecksum.of($0) } == expected)
        }
        // RFC 3720, appendix B.4, and the check value of CRC-32C.
        #expect(Array("123456789".utf8).withUnsafeBytes { CRC32C.of($0) } == 0xE306_9283)
    }
}
