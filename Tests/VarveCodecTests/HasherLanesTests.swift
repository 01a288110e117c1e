import Testing
import VarveCodec
import VarveFormat

@Suite struct HasherLanesTests {
    static let kernels = Hasher.Kernel.allCases.filter(\.isSupported)

    /// Bytes that look random, the same in every run.
    static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
    }

    /// The ids by a kernel and one by one through libb2, of pieces of `bytes` with these lengths.
    ///
    /// A piece begins 37 bytes after the one before, so that the lanes differ and are not aligned.
    static func ids(
        _ lengths: [Int], in bytes: [UInt8], _ type: BlobType, _ kernel: Hasher.Kernel
    ) -> (lanes: [ContentID], single: [ContentID]) {
        bytes.withUnsafeBytes { bytes in
            let extents = lengths.enumerated().map { index, length in
                UnsafeRawBufferPointer(rebasing: bytes[(index * 37)...].prefix(length))
            }
            var ids = Array(repeating: ContentID.zero, count: lengths.count)
            Hasher.ids(of: extents, type, into: &ids, kernel: kernel)
            return (ids, extents.map { Hasher.id(of: $0, type) })
        }
    }

    @Test(arguments: kernels, BlobType.allCases)
    func everyShortLength(_ kernel: Hasher.Kernel, _ type: BlobType) {
        let bytes = Self.noise(1100 + 8 * 37, seed: 1)
        for length in 0...1100 {
            for count in [2, 4, 5, 8] {
                let (lanes, single) = Self.ids(
                    Array(repeating: length, count: count), in: bytes, type, kernel)
                #expect(lanes == single, "\(count) buffers of \(length) bytes")
            }
        }
    }

    @Test(arguments: kernels, BlobType.allCases)
    func randomLengths(_ kernel: Hasher.Kernel, _ type: BlobType) {
        let bytes = Self.noise(300_000, seed: 2)
        let seed = UInt64.random(in: 0...UInt64.max)
        var state = seed
        for _ in 0..<12 {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            let length = Int(state >> 33) % 262_144
            let (lanes, single) = Self.ids(Array(repeating: length, count: 8), in: bytes, type, kernel)
            #expect(lanes == single, "\(length) bytes, seed \(seed)")
        }
    }

    /// More than a group, more than a run of 64, lengths mixed: each id arrives at its own place.
    @Test(arguments: kernels)
    func mixedLengths(_ kernel: Hasher.Kernel) {
        let bytes = Self.noise(20_000, seed: 3)
        let choices = [0, 512, 4096, 4096, 4096, 4095, 129]
        for count in [0, 1, 7, 9, 63, 64, 65, 200] {
            let lengths = (0..<count).map { choices[$0 * $0 % 11 % choices.count] }
            let (lanes, single) = Self.ids(lengths, in: bytes, .map, kernel)
            #expect(lanes == single, "\(count) buffers")
            // Pieces overlap but differ: no id may repeat, except that of the empty piece.
            let filled = zip(lengths, lanes).filter { $0.0 > 0 }.map(\.1)
            #expect(Set(filled).count == filled.count)
        }
    }

    @Test func theUsualEntryPointAgreesToo() {
        let bytes = Self.noise(10 * 4096, seed: 4)
        bytes.withUnsafeBytes { bytes in
            let extents = (0..<10).map {
                UnsafeRawBufferPointer(rebasing: bytes[($0 * 4096)...].prefix(4096))
            }
            var ids = Array(repeating: ContentID.zero, count: 10)
            Hasher.ids(of: extents, .data, into: &ids)
            #expect(ids == extents.map { Hasher.id(of: $0, .data) })
        }
        #expect(Hasher.lanes == (Hasher.kernel == .portable ? 1 : 8))
    }

    /// `hashlib.blake2b(bytes(range(200)), digest_size=32, person=b"varve.data").hexdigest()`
    @Test(arguments: kernels)
    func anIndependentImplementationSaysSo(_ kernel: Hasher.Kernel) {
        let bytes = (0..<200).map { UInt8($0) }
        bytes.withUnsafeBytes { bytes in
            var ids = Array(repeating: ContentID.zero, count: 8)
            Hasher.ids(of: Array(repeating: bytes, count: 8), .data, into: &ids, kernel: kernel)
            #expect(
                ids.allSatisfy {
                    $0.hex == "7b4ab8216d63d082825b7fc7b58ab4df5f450d76de7d4d95cdc3e73529c8574e"
                })
        }
    }

    /// Control: the comparison above sees a wrong personalisation, a changed bit in one lane, and a length.
    @Test(arguments: kernels)
    func differencesAreSeen(_ kernel: Hasher.Kernel) {
        var bytes = Self.noise(5000, seed: 5)
        let lengths = Array(repeating: 4096, count: 8)
        let (lanes, single) = Self.ids(lengths, in: bytes, .data, kernel)
        let other = Self.ids(lengths, in: bytes, .map, kernel).lanes
        #expect(zip(other, single).allSatisfy { $0 != $1 })
        let shorter = Self.ids(lengths.map { $0 - 1 }, in: bytes, .data, kernel).lanes
        #expect(zip(shorter, single).allSatisfy { $0 != $1 })
        bytes[7 * 37 + 4095] ^= 1  // in the last piece only
        let changed = Self.ids(lengths, in: bytes, .data, kernel).lanes
        #expect(changed.dropLast() == lanes.dropLast())
        #expect(changed[7] != lanes[7])
    }

    /// Control: a kernel that does not agree with the reference is not taken.
    @Test func aKernelThatDisagreesIsNotTaken() {
        #expect(Hasher.fastestKernel(limit: nil) == Self.kernels.first)
        let wrong = Hasher.fastestKernel(limit: nil) { bytes, type in
            Hasher.id(of: bytes, type == .data ? .map : .data)
        }
        #expect(wrong == .portable)
        let wrongWhenLong = Hasher.fastestKernel(limit: nil) { bytes, type in
            bytes.count > 100_000 ? .zero : Hasher.id(of: bytes, type)
        }
        #expect(wrongWhenLong == .portable)
    }

    @Test func theLimitIsKept() {
        #expect(Hasher.fastestKernel(limit: .portable) == .portable)
        #expect(Hasher.fastestKernel(limit: .avx2) == (Hasher.Kernel.avx2.isSupported ? .avx2 : .portable))
        #expect(Hasher.fastestKernel(limit: .avx512) == Self.kernels.first)
    }
}
