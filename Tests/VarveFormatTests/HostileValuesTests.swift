import Testing
import VarveFormat
import VarveTestSupport

/// Values whose checksums and magic numbers are right, and that still can't be.
@Suite struct HostileValuesTests {
    static let id = Parser.id

    @Test(
        "Deltas whose ranges make no sense: base, granule, then gaps and lengths",
        arguments: [
            // Touching, empty, beyond the blob, and bytes that the base does not have.
            (4096, 0, [(0, 512), (0, 100)]), (4096, 0, [(100, 0)]), (4096, 0, [(4000, 97)]),
            (4096, 0, [(4096, 1)]),
            (4096, 0, [(.max, .max)]), (4096, 16, [(.max, .max)]), (4096, 9, [(0, 9)]), (4096, 12, [(1, 1)]),
            (100, 0, [(0, 512)]), (100, 0, []), (511, 0, [(512, 3584)]), (4096, 17, [(0, 1)]),
            (UInt32(Pack.maximumBlobLength + 1), 0, [(0, 4096)]),
        ] as [(UInt32, UInt8, [(UInt32, UInt32)])])
    func deltas(_ baseLength: UInt32, _ granule: UInt8, _ ranges: [(UInt32, UInt32)]) {
        var writer = ByteWriter()
        writer.varint(baseLength)
        writer.integer(granule)
        writer.varint(UInt32(ranges.count))
        for range in ranges {
            writer.varint(range.0)
            writer.varint(range.1)
        }
        expect(.corrupt) { try readDelta(writer.bytes) }
    }

    /// A control for the cases above, and the last range of a blob that ends within a granule.
    @Test func deltasThatMakeSense() throws {
        for (length, shift, ranges) in [
            (4096, 9, [0..<512, 1024..<4096]), (4096, 0, [0..<1]), (4000, 9, [3584..<4000]), (4096, 0, []),
        ] as [(Int, UInt8, [Range<Int>])] {
            let delta = DeltaPayload(baseLength: 4096, granuleShift: shift, ranges: ranges)
            let read = try delta.encoded.withUnsafeBytes {
                try DeltaPayload(prefixOf: $0, decodedLength: length)
            }
            #expect(read == delta)
        }
    }

    @Test func deltaCountsAreBounded() {
        var writer = ByteWriter()
        writer.varint(4096)
        writer.integer(UInt8(0))
        writer.varint(.max)
        writer.zeros(64)
        expect(.corrupt) { try readDelta(writer.bytes) }
    }

    @Test func numbersHaveOneSpelling() throws {
        for value in [0, 1, 127, 128, 16_383, 16_384, 1 << 28, .max] as [UInt32] {
            var writer = ByteWriter()
            writer.varint(value)
            #expect(try readNumber(writer.bytes) == value)
            expect(.corrupt) { try readNumber(Array(writer.bytes.dropLast())) }
        }
        for bytes in [
            [0x80, 0], [0x81, 0x80, 0], [255, 255, 255, 255, 31], [255, 255, 255, 255, 255, 1], [128],
        ]
            as [[UInt8]]
        {
            expect(.corrupt) { try readNumber(bytes) }
        }
    }

    private func readNumber(_ bytes: [UInt8]) throws -> UInt32 {
        try bytes.withUnsafeBytes {
            var reader = ByteReader($0, what: "the number")
            return try reader.varint()
        }
    }

    private func readDelta(_ bytes: [UInt8]) throws -> DeltaPayload {
        try bytes.withUnsafeBytes { try DeltaPayload(prefixOf: $0, decodedLength: 4096) }
    }

    /// 256 entries of 2^56 bytes are 2^64: the product must not overflow.
    @Test(arguments: [0, 1, .max, 1 << 63, (255 << 56) + 1] as [UInt64])
    func theLargestExtentMapDoesNotOverflow(_ length: UInt64) throws {
        let node = ExtentMapNode(
            level: 4, extentSize: 16 << 20, length: length,
            children: Array(repeating: .zero, count: ExtentMapNode.fanOut))
        if length > 255 << 56 {
            let read = try node.encoded.withUnsafeBytes { try ExtentMapNode($0) }
            #expect(read == node)
            #expect(read.childLength(255) == length - 255 << 56)
        } else {
            expect(.corrupt) { try node.encoded.withUnsafeBytes { try ExtentMapNode($0) } }
        }
    }

    @Test(
        arguments: [
            // Level, extent size, length, entries.
            (5, 512, 512, 1), (0, 0, 1, 1), (0, 32 << 20, 1, 1), (0, 512, 0, 1), (0, 512, 513, 1),
            (0, 512, 512, 2),
            (0, 512, 512 * 257, 257), (0, 512, 0, 0), (1, 512, 512 * 256 * 2 + 1, 2),
        ] as [(Int, UInt32, UInt64, Int)])
    func extentMaps(_ level: Int, _ extentSize: UInt32, _ length: UInt64, _ count: Int) {
        let node = ExtentMapNode(
            level: level, extentSize: extentSize, length: length,
            children: Array(repeating: Self.id, count: count))
        expect(.corrupt) {
            try node.encoded.withUnsafeBytes { try ExtentMapNode($0) }
        }
    }

    @Test func versionsFromLaterAreRefusedAsSuch() {
        var pack = Pack.Header(repository: Parser.repository).encoded
        pack[8] = 2
        var map = Parser.node.encoded
        map[4] = 2
        var index = Parser.index
        index[8] = 2
        expect(.unsupported) { try pack.withUnsafeBytes { try Pack.Header($0) } }
        expect(.unsupported) { try map.withUnsafeBytes { try ExtentMapNode($0) } }
        expect(.unsupported) { try IndexTable(BytesInMemory(index)) }
    }

    @Test func aBlobOutsideOfItsPlaceInTheDirectoryIsRefused() {
        for offset in [UInt32(0), 63, 65, .max] {
            let directory = PackDirectory(entries: [Pack.Entry(offset: offset, header: Parser.whole)])
            let end = Pack.headerLength + Parser.whole.totalLength
            let encoded = directory.encoded(at: end)
            expect(.corrupt) {
                try encoded.withUnsafeBytes { bytes in
                    let trailer = try PackDirectory.Trailer(
                        UnsafeRawBufferPointer(rebasing: bytes.suffix(32)), packLength: end + bytes.count)
                    _ = try PackDirectory(
                        UnsafeRawBufferPointer(rebasing: bytes.dropLast(32)), trailer: trailer)
                }
            }
        }
    }

    /// A damaged table leads nowhere or to a wrong place; it never reads beyond itself.
    @Test func anIndexWhoseFanOutLiesNeverTraps() throws {
        var builder = IndexTableBuilder(repository: Parser.repository)
        for number in 0..<200 as Range<UInt8> {
            let id = [UInt8](repeating: number, count: 32).withUnsafeBytes { ContentID($0) }
            builder.add(id, IndexTable.Location(pack: Parser.id, offset: UInt32(number), readLength: 64))
        }
        let good = builder.encoded()
        let start = IndexTable.headerLength + ContentID.byteCount
        for value in [0, 0x7F, 0xFF] as [UInt8] {
            for at in start..<start + 9 * 4 {
                var damaged = good
                damaged[at] = value
                let table = try IndexTable(BytesInMemory(damaged))
                for number in 0..<200 as Range<UInt8> {
                    _ = try table.find(
                        [UInt8](repeating: number, count: 32).withUnsafeBytes { ContentID($0) })
                }
            }
        }
    }

    @Test func anIndexFindsWhatWasAdded() throws {
        var builder = IndexTableBuilder(repository: Parser.repository)
        let lengths = [1, 64, 1024, 1025, 2048, 5000, 131_156, 1 << 20, Pack.maximumBlobLength + 84]
        for (number, length) in lengths.enumerated() {
            let id = [UInt8](repeating: UInt8(number), count: 32).withUnsafeBytes { ContentID($0) }
            builder.add(id, IndexTable.Location(pack: Parser.id, offset: UInt32(number), readLength: length))
        }
        let table = try IndexTable(BytesInMemory(builder.encoded()))
        for (number, length) in lengths.enumerated() {
            let id = [UInt8](repeating: UInt8(number), count: 32).withUnsafeBytes { ContentID($0) }
            let entry = try #require(try table.find(id))
            let found = try #require(try table.location(entry))
            #expect(found.offset == UInt32(number) && found.pack == Parser.id)
            // A sixteenth more at most, and no less.
            #expect(found.readLength >= length && found.readLength <= max(1024, length + length / 16 + 64))
        }
        #expect(try table.find(Parser.other) == nil)
    }

    /// A type or encoding that nobody knows: by a newer varve if the checksum is right, else it is damage.
    @Test(arguments: [4, 5], [52, 84]) func foreignBlobHeaders(_ at: Int, _ length: Int) {
        var bytes = [UInt8](repeating: 7, count: 200)
        bytes.replaceSubrange(
            ..<4, with: Pack.BlobHeader.magic)
        bytes.replaceSubrange(4..<8, with: [1, 0, 0, 0])
        bytes[at] = 99
        func fails(_ code: VarveError.Code, _ bytes: [UInt8]) {
            expect(code) { try bytes.withUnsafeBytes { try Pack.BlobHeader(prefixOf: $0) } }
        }
        fails(.corrupt, bytes)
        let crc = bytes[..<(length - 4)].withUnsafeBytes { CRC32C.of($0) }
        withUnsafeBytes(of: crc.littleEndian) { bytes.replaceSubrange(length - 4..<length, with: $0) }
        fails(.unsupported, bytes)
        fails(.corrupt, Array(bytes.prefix(length - 1)))
    }
}
