import Testing
import VarveFormat
import VarveTestSupport

@Suite struct IndexFilterTests {
    private static let repository = RepositoryID([UInt8](repeating: 7, count: 16))

    private static func id(_ random: inout SeededRandom) -> ContentID {
        random.bytes(32).withUnsafeBytes { ContentID($0) }
    }

    private static func filter(of ids: [ContentID]) throws -> [UInt8] {
        var builder = IndexTableBuilder(repository: repository)
        for id in ids { builder.add(id, .init(pack: Parser.id, offset: 64, readLength: 64)) }
        let table = try IndexTable(BytesInMemory(builder.encoded()))
        var bytes: [UInt8] = []
        try IndexFilter.write(of: table, name: Parser.other) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// What is there always passes. What is not hardly ever does: that is the control, and what it is for.
    @Test(arguments: [0, 1, 47, 48, 49, 1000, 50_000])
    func absentOnlyIfAbsent(_ count: Int) throws {
        var random = SeededRandom()
        let ids = (0..<count).map { _ in Self.id(&random) }
        let bytes = try Self.filter(of: ids)
        let filter = try IndexFilter(BytesInMemory(bytes))
        #expect(filter.table == Parser.other)
        #expect(bytes.count <= 128 + count * 64 / 48)
        for id in ids { #expect(try filter.mayContain(id), "seed \(random.seed)") }
        let others = 20_000
        let passed = try (0..<others).count { _ in try filter.mayContain(Self.id(&random)) }
        #expect(passed < others / 50, "\(passed) of \(others) pass, seed \(random.seed)")
        if count == 50_000 { #expect(passed > 0, "1.1 % are expected, seed \(random.seed)") }
    }

    /// Ids that differ in a few bits are as likely in a table as others: they go to one block, where all of their
    /// first half is equal, and must pass all the same.
    @Test func crowdedBlocks() throws {
        var random = SeededRandom()
        let ids = (0..<5000).map { _ in
            ([UInt8](repeating: 0xFF, count: 8) + random.bytes(24)).withUnsafeBytes { ContentID($0) }
        }
        let filter = try IndexFilter(BytesInMemory(Self.filter(of: ids)))
        for id in ids { #expect(try filter.mayContain(id), "seed \(random.seed)") }
        #expect(try !filter.mayContain(.zero))
    }

    /// A damaged block does not tell, whatever it says: no flip makes a blob absent.
    @Test func damagedBlocksThrow() throws {
        var random = SeededRandom()
        let ids = (0..<30).map { _ in Self.id(&random) }
        let bytes = try Self.filter(of: ids)
        for bit in IndexFilter.headerLength * 8..<bytes.count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            let filter = try IndexFilter(BytesInMemory(damaged))
            for id in ids.prefix(3) {
                expect(.corrupt) { try filter.mayContain(id) }
            }
        }
    }

    @Test func headersAreChecked() throws {
        let bytes = try Self.filter(of: [Parser.id])
        for bit in 0..<IndexFilter.headerLength * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            // The version, and what a later one may use.
            let isForeign = (8..<12).contains(bit / 8) || (48..<60).contains(bit / 8)
            expect(isForeign ? .unsupported : .corrupt, "bit \(bit)") {
                _ = try IndexFilter(BytesInMemory(damaged))
            }
        }
        for length in 0..<bytes.count {
            expect(.corrupt, "\(length) bytes") {
                _ = try IndexFilter(BytesInMemory(Array(bytes.prefix(length))))
            }
        }
        expect(.corrupt) { _ = try IndexFilter(BytesInMemory(bytes + [0])) }
        var later = bytes
        later[8] = 2
        expect(.unsupported) { _ = try IndexFilter(BytesInMemory(later)) }
    }

    /// Read in its order, or not at all: what is out of order would be left out.
    @Test func aTableOutOfOrderHasNoFilter() throws {
        var builder = IndexTableBuilder(repository: Self.repository)
        var random = SeededRandom()
        for _ in 0..<200 {
            builder.add(Self.id(&random), .init(pack: Parser.id, offset: 64, readLength: 64))
        }
        var bytes = builder.encoded()
        let first = bytes.count - 200 * IndexTable.entryLength
        bytes.swapAt(first, bytes.count - IndexTable.entryLength)
        let table = try IndexTable(BytesInMemory(bytes))
        expect(.corrupt) { try IndexFilter.write(of: table, name: Parser.other) { _ in } }
    }
}
