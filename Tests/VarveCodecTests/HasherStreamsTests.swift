import Testing
import VarveCodec
import VarveFormat

/// Objects that are read in pieces and hashed side by side have the names that libb2 gives them.
@Suite struct HasherStreamsTests {
    private struct Unreadable: Error {}

    private static let pieceSize = 512
    /// Around blocks and pieces.
    private static let sizes: [Int] =
        [0, 1, 127, 128, 129, 255, 256, 257]
        + [1, 2, 3, 7].flatMap { [-129, -128, -1, 0, 1, 128, 129].map(($0 * 512).advanced) }

    private let bytes = (0..<8 * 512 + 1000).map { UInt8(truncatingIfNeeded: $0 &* 167 ^ $0 >> 8) }

    private func object(_ index: Int, _ size: Int) -> ArraySlice<UInt8> {
        bytes[index * 61..<index * 61 + size]
    }

    private func names(_ sizes: [Int], _ kernel: Hasher.Kernel, failing: (Int, UInt64)? = nil) -> [ContentID?]
    {
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: sizes.count * Self.pieceSize + 100, alignment: 64)
        defer { memory.deallocate() }
        let results = Hasher.names(ofObjects: sizes.map(UInt64.init), memory: memory, kernel: kernel) {
            index, offset, buffer in
            if let failing, failing.0 == index && offset >= failing.1 { throw Unreadable() }
            let object = object(index, sizes[index])
            let start = object.startIndex + Int(offset)
            buffer.copyBytes(from: object[start..<start + buffer.count])
        }
        return results.map { try? $0.get() }
    }

    private func expected(_ sizes: [Int]) -> [ContentID?] {
        sizes.enumerated().map { index, size in
            Array(object(index, size)).withUnsafeBytes { Hasher.name(of: $0) }
        }
    }

    @Test(arguments: Hasher.Kernel.allCases.filter(\.isSupported))
    func sameNamesAsOneByOne(_ kernel: Hasher.Kernel) {
        var random = SystemRandomNumberGenerator()
        for size in Self.sizes {
            #expect(names([size], kernel) == expected([size]), "\(size)")
            for count in 2...8 {
                let mixed = [size] + (1..<count).map { _ in Self.sizes.randomElement(using: &random)! }
                #expect(names(mixed, kernel) == expected(mixed), "\(mixed)")
            }
        }
    }

    /// One that can't be read has no name; the others have theirs.
    @Test(arguments: Hasher.Kernel.allCases.filter(\.isSupported))
    func anUnreadableOneLeavesTheOthers(_ kernel: Hasher.Kernel) {
        let sizes = [3000, 4000, 1, 2000]
        for index in sizes.indices {
            for offset: UInt64 in [0, 512, 1024] where offset < sizes[index] {
                var right = expected(sizes)
                right[index] = nil
                #expect(names(sizes, kernel, failing: (index, offset)) == right)
            }
        }
    }
}
