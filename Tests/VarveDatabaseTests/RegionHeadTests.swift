import Testing
import VarveDatabase

/// Heads of `__db.001`, made as builds of libdb lay them out; what those builds really write is in the process tests.
@Suite struct RegionHeadTests {
    private struct Region {
        var bytes = [UInt8](repeating: 0, count: 4096)

        mutating func set<T: FixedWidthInteger>(_ value: T, at offset: Int) {
            withUnsafeBytes(of: value.littleEndian) {
                bytes.replaceSubrange(offset..<offset + $0.count, with: $0)
            }
        }

        init(version: [UInt32] = [5, 3, 28]) {
            set(RegionHead.magic, at: 0)
            for (index, number) in version.enumerated() { set(number, at: 8 + 4 * index) }
            set(UInt32(0xA1B2_C3D4), at: 20)
            set(UInt32(0x6B2F_EFB9), at: 24)
        }

        static func of64Bits(references: UInt32, flags: UInt32 = 0x5C) -> Region {
            var region = Region()
            region.set(Int64(1_700_000_000), at: 32)
            region.set(flags, at: 40)
            region.set(UInt64(2), at: 48)
            region.set(references, at: 56)
            region.set(UInt32(6), at: 60)
            region.set(UInt64(472), at: 64)
            region.set(UInt64(1234), at: 88)
            region.set(UInt32(1), at: 472 + 24)
            region.set(UInt32(1), at: 472 + 28)
            return region
        }

        static func of32Bits(references: UInt32) -> Region {
            var region = Region()
            region.set(Int32(1_700_000_000), at: 28)
            region.set(UInt32(0x5C), at: 32)
            region.set(UInt32(2), at: 36)
            region.set(references, at: 40)
            region.set(UInt32(6), at: 44)
            region.set(UInt32(296), at: 48)
            region.set(UInt32(1234), at: 60)
            region.set(UInt32(1), at: 296 + 12)
            region.set(UInt32(1), at: 296 + 16)
            return region
        }

        func read() throws -> RegionHead? {
            try RegionHead.read { offset, buffer in
                let part = bytes[min(Int(clamping: offset), bytes.count)...].prefix(buffer.count)
                buffer.copyBytes(from: part)
                return part.count
            }
        }
    }

    @Test func itsOwnBuildIsRead() throws {
        let head = try #require(try Region.of64Bits(references: 3).read())
        #expect(head.isNative && !head.isPanicked && head.envid == 0xA1B2_C3D4)
        #expect(head.fields?.references == 3 && head.fields?.isTransactional == true)
        #expect(head.fields?.created == 1_700_000_000 && head.fields?.transactions == 1234)
        // Logging alone is not enough.
        #expect(try Region.of64Bits(references: 0, flags: 0x1C).read()?.fields?.isTransactional == false)
    }

    @Test func anotherWordSizeIsToldAndRead() throws {
        let head = try #require(try Region.of32Bits(references: 3).read())
        #expect(!head.isNative && head.maker == "Berkeley DB 5.3.28 in 32 bits")
        #expect(head.fields?.references == 3 && head.fields?.isTransactional == true)
    }

    /// The head of every release says who it is, and no more is believed.
    @Test(arguments: [[4, 8, 30], [6, 2, 32], [18, 1, 40]] as [[UInt32]])
    func anotherReleaseIsToldAndNotRead(_ version: [UInt32]) throws {
        var region = Region.of64Bits(references: 3)
        for (index, number) in version.enumerated() { region.set(number, at: 8 + 4 * index) }
        region.set(UInt32(1), at: 4)
        let head = try #require(try region.read())
        #expect(!head.isNative && head.fields == nil && head.isPanicked)
        #expect(head.maker == "Berkeley DB \(version[0]).\(version[1]).\(version[2])")
    }

    /// The table of regions is what vouches for the fields.
    @Test func aTableThatIsNoneIsNotBelieved() throws {
        var region = Region.of64Bits(references: 3)
        region.set(UInt32(2), at: 472 + 28)
        #expect(try region.read()?.fields == nil)
        var count = Region.of64Bits(references: 3)
        count.set(UInt32(0), at: 60)
        #expect(try count.read()?.fields == nil)
        var far = Region.of64Bits(references: 3)
        far.set(UInt64.max, at: 64)
        #expect(try far.read()?.fields == nil)
        #expect(try far.read()?.maker == "another build of Berkeley DB 5.3.28")
    }

    @Test func unfinishedOnesAreNone() throws {
        var region = Region.of64Bits(references: 3)
        region.set(UInt32(0), at: 0)
        #expect(try region.read() == nil)
        for count in [0, 27, 60, 95] {
            var short = Region.of64Bits(references: 3)
            short.bytes = Array(short.bytes[..<count])
            #expect(try short.read()?.fields == nil)
        }
    }

    /// Whatever the bytes are, reading them ends, without a trap.
    @Test func randomBytesNeverTrap() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("randomBytesNeverTrap: seed \(seed)")
        var state = seed
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for round in 0..<20_000 {
            var region = round % 2 == 0 ? Region.of64Bits(references: 1) : .of32Bits(references: 1)
            for _ in 0..<4 { region.bytes[8 + next(504)] = UInt8(next(256)) }
            _ = try region.read()?.maker
        }
    }

    @Test func references() {
        var bytes = [UInt8](repeating: 0, count: 24)
        bytes[16] = 3
        #expect(RegionReference(bytes)?.segment == 3)
        #expect(RegionReference([UInt8](repeating: 255, count: 12))?.segment == -1)
        #expect(RegionReference(bytes + [0]) == nil)
        #expect(RegionReference.isSize(24) && RegionReference.isSize(12) && !RegionReference.isSize(286_719))
    }
}
