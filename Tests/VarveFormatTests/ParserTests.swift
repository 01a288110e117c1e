import Testing
import VarveFormat
import VarveTestSupport

/// A parser with a value that it reads: what every parser must do with damaged bytes is the same.
struct Parser: CustomTestStringConvertible, Sendable {
    let testDescription: String
    /// A valid encoding.
    let bytes: [UInt8]
    /// The value, written again: equal encodings are equal values.
    let reencode: @Sendable ([UInt8]) throws -> [UInt8]
    /// A checksum covers all of it: no flip gives a value.
    var hasChecksum = false
    /// It reads a prefix, and what follows is another's business.
    var readsPrefix = false
    /// Room for later versions: must be zero.
    var reserved: [Int] = []

    static let id = ContentID(hex: String(repeating: "0123456789abcdef", count: 4)) ?? .zero
    static let other = ContentID(hex: String(repeating: "fedcba9876543210", count: 4)) ?? .zero
    static let repository = RepositoryID(Array(1...16))
    static let whole = Pack.BlobHeader(
        id: id, type: .data, encoding: .zstd, storedLength: 900, decodedLength: 4096)
    static let delta = Pack.BlobHeader(
        id: other, type: .data, encoding: .delta, storedLength: 77, decodedLength: 4096, base: id)
    static let directory = PackDirectory(entries: [
        Pack.Entry(offset: 64, header: whole),
        Pack.Entry(offset: UInt32(64 + whole.totalLength), header: delta),
    ])
    static var directoryOffset: Int { 64 + whole.totalLength + delta.totalLength }
    static let ranges = DeltaPayload(
        baseLength: 4000, granuleShift: 9, ranges: [0..<512, 1024..<1536, 3072..<4096])
    static let node = ExtentMapNode(level: 1, extentSize: 512, length: 512 * 256 + 5, children: [id, .zero])

    static var index: [UInt8] {
        var builder = IndexTableBuilder(repository: repository)
        builder.add(id, IndexTable.Location(pack: other, offset: 64, readLength: 952))
        builder.add(other, IndexTable.Location(pack: id, offset: 99, readLength: 5000))
        return builder.encoded()
    }

    static var summaries: [SnapshotSummary] {
        var bare = DocumentTests.manifest
        bare.environment = nil
        bare.recovery = nil
        bare.tainted = false
        return [
            SnapshotSummary(DocumentTests.manifest, name: id), SnapshotSummary(bare, name: other),
            SnapshotSummary(DocumentTests.manifest, name: other),
        ]
    }

    static let all = [
        Parser(
            testDescription: "pack header",
            bytes: Pack.Header(repository: repository, cipherSuite: 0, salt: id).encoded,
            reencode: { try $0.withUnsafeBytes { try Pack.Header($0) }.encoded }, reserved: Array(12..<16)),
        Parser(
            testDescription: "blob header", bytes: whole.encoded,
            reencode: { try $0.withUnsafeBytes { try Pack.BlobHeader(prefixOf: $0) }.encoded },
            hasChecksum: true,
            readsPrefix: true),
        Parser(
            testDescription: "delta blob header", bytes: delta.encoded,
            reencode: { try $0.withUnsafeBytes { try Pack.BlobHeader(prefixOf: $0) }.encoded },
            hasChecksum: true,
            readsPrefix: true),
        Parser(
            testDescription: "pack directory and trailer", bytes: directory.encoded(at: directoryOffset),
            reencode: { try readDirectory($0).encoded(at: directoryOffset) }, hasChecksum: true),
        Parser(
            testDescription: "delta payload", bytes: ranges.encoded,
            reencode: {
                try $0.withUnsafeBytes { try DeltaPayload(prefixOf: $0, decodedLength: 4096) }.encoded
            },
            readsPrefix: true),
        Parser(
            testDescription: "extent map", bytes: node.encoded,
            reencode: { try $0.withUnsafeBytes { try ExtentMapNode($0) }.encoded }, reserved: [6, 7]),
        Parser(
            testDescription: "index", bytes: index,
            reencode: { try flatten(IndexTable(BytesInMemory($0))) }, reserved: Array(40..<64)),
        Parser(
            testDescription: "summaries", bytes: SummaryTable.encode(summaries, repository: repository),
            reencode: { bytes in
                let read = try bytes.withUnsafeBytes { try SummaryTable.decode($0, repository: repository) }
                return SummaryTable.encode(read, repository: repository)
            }, reserved: Array(10..<16)),
    ]

    /// As a reader of a pack finds it: from the end.
    static func readDirectory(_ bytes: [UInt8]) throws -> PackDirectory {
        try bytes.withUnsafeBytes { bytes in
            guard bytes.count >= Pack.trailerLength else { throw VarveError(.corrupt, "too short") }
            let end = UnsafeRawBufferPointer(rebasing: bytes.suffix(Pack.trailerLength))
            let trailer = try PackDirectory.Trailer(end, packLength: directoryOffset + bytes.count)
            guard trailer.directoryOffset == directoryOffset else { throw VarveError(.corrupt, "elsewhere") }
            let directory = UnsafeRawBufferPointer(rebasing: bytes.dropLast(Pack.trailerLength))
            return try PackDirectory(directory, trailer: trailer)
        }
    }

    /// All that a table tells, in order.
    private static func flatten(_ table: IndexTable) throws -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(table.repository.bytes)
        try table.forEachPack { writer.id($0) }
        let entries = table.entries()
        while let entry = try entries.next() {
            writer.integer(entry.key.0)
            writer.integer(entry.key.1)
            let location = try table.location(entry)
            writer.integer(location?.offset ?? .max)
            writer.integer(Int64(location?.readLength ?? -1))
            writer.id(location?.pack ?? .zero)
        }
        for id in [id, other, .zero] { writer.integer(UInt32(try table.find(id)?.offset ?? .max)) }
        return writer.bytes
    }
}

@Suite struct ParserTests {
    @Test(arguments: Parser.all) func roundTrip(_ parser: Parser) throws {
        let value = try parser.reencode(parser.bytes)
        // The index has no encoder of its own: it is compared with itself.
        if parser.testDescription != "index" { #expect(value == parser.bytes) }
        #expect(try parser.reencode(parser.bytes) == value)
    }

    @Test(arguments: Parser.all) func everyTruncationThrows(_ parser: Parser) throws {
        for length in 0..<parser.bytes.count {
            expect(.corrupt, "\(length) bytes") {
                try parser.reencode(Array(parser.bytes.prefix(length)))
            }
        }
    }

    @Test(arguments: Parser.all) func everyFlippedBitThrowsOrShows(_ parser: Parser) throws {
        let value = try parser.reencode(parser.bytes)
        for bit in 0..<parser.bytes.count * 8 {
            var damaged = parser.bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            let read = try? parser.reencode(damaged)
            if parser.hasChecksum {
                #expect(read == nil, "bit \(bit) is covered by a checksum")
            } else if parser.testDescription != "index" {
                #expect(read != value, "bit \(bit)")
            }
        }
    }

    @Test(arguments: Parser.all) func trailingBytes(_ parser: Parser) throws {
        let more = parser.bytes + [0]
        if parser.readsPrefix {
            #expect(try parser.reencode(more) == parser.bytes)
        } else {
            expect(.corrupt) { try parser.reencode(more) }
        }
    }

    @Test(arguments: Parser.all) func reservedFieldsAreRefused(_ parser: Parser) throws {
        for at in parser.reserved {
            var changed = parser.bytes
            changed[at] = 1
            expect(.unsupported, "byte \(at)") { try parser.reencode(changed) }
        }
    }

    @Test(arguments: Parser.all) func randomBytesNeverTrap(_ parser: Parser) throws {
        var random = SeededRandom()
        for _ in 0..<3000 {
            // Half of them begin as they should, so that more than the magic number is read.
            let kept =
                Bool.random(using: &random) ? Int.random(in: 0...parser.bytes.count, using: &random) : 0
            let bytes =
                Array(parser.bytes.prefix(kept)) + random.bytes(Int.random(in: 0...300, using: &random))
            guard let value = try? parser.reencode(bytes), parser.testDescription != "index" else { continue }
            #expect(bytes.starts(with: value), "seed \(random.seed)")
        }
    }

    @Test(arguments: Parser.all) func damagedBytesNeverTrap(_ parser: Parser) {
        var random = SeededRandom()
        for _ in 0..<3000 {
            var bytes = parser.bytes
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] =
                    [0, 1, 0x7F, 0x80, 0xFF].randomElement(
                        using: &random) ?? 0
            }
            guard let value = try? parser.reencode(bytes), parser.testDescription != "index" else { continue }
            #expect(bytes.starts(with: value), "seed \(random.seed)")
        }
    }
}
