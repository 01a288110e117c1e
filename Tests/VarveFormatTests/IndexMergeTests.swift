import Testing
import VarveFormat
import VarveTestSupport

@Suite struct IndexMergeTests {
    private static let repository = RepositoryID([UInt8](repeating: 7, count: 16))

    private static func id(_ random: inout SeededRandom) -> ContentID {
        let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
        return bytes.withUnsafeBytes { ContentID($0) }
    }

    private static func table(_ entries: [(ContentID, IndexTable.Location)]) -> [UInt8] {
        var builder = IndexTableBuilder(repository: repository)
        for (id, location) in entries { builder.add(id, location) }
        return builder.encoded()
    }

    /// Merged piece by piece is the same as built at once; what lies in a pack that is gone is left out.
    @Test func aMergeHoldsWhatItsTablesHold() throws {
        var random = SeededRandom()
        let packs = (0..<5).map { _ in Self.id(&random) }
        let gone = packs[4]
        var parts: [[(ContentID, IndexTable.Location)]] = []
        for size in [0, 1, 700, 3000] {
            parts.append(
                (0..<size).map { number in
                    let pack = packs[Int.random(in: 0..<5, using: &random)]
                    return (Self.id(&random), .init(pack: pack, offset: UInt32(number), readLength: 1024))
                })
        }
        // The same blob in two tables: one entry stays, and it is the one of the earlier table.
        parts[3].append((parts[2][0].0, .init(pack: packs[0], offset: 999_999, readLength: 1024)))
        parts[2][0].1.pack = packs[1]

        let tables = try parts.map { try IndexTable(BytesInMemory(Self.table($0))) }
        let merge = try IndexTableMerge(tables, repository: Self.repository) { $0 != gone }
        var merged: [UInt8] = []
        try merge.write { merged.append(contentsOf: $0) }
        var again: [UInt8] = []
        try merge.write { again.append(contentsOf: $0) }
        #expect(merged == again)

        let table = try IndexTable(BytesInMemory(merged))
        let all = parts.flatMap { $0 }.filter { $0.1.offset != 999_999 }
        #expect(table.count == all.filter { $0.1.pack != gone }.count)
        for (id, location) in all {
            let found = try table.find(id).flatMap { try table.location($0) }
            #expect(found == (location.pack == gone ? nil : location), "seed \(random.seed)")
        }
    }
}
