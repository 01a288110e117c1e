import Testing
import VarveFormat

@Suite struct UnitsTests {
    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1536, "1.50 KiB"), (196_083_712, "187 MiB"),
            (1 << 40, "1.00 TiB"), (1_048_575, "1.00 MiB"),
        ] as [(UInt64, String)])
    func byteCounts(_ count: UInt64, _ text: String) {
        #expect(ByteCount(count).description == text)
    }

    @Test func hexHasOneSpelling() {
        let id = ContentID(hex: String(repeating: "0f", count: 32))
        #expect(id?.hex == String(repeating: "0f", count: 32))
        #expect(ContentID(hex: String(repeating: "0F", count: 32)) == nil)
        #expect(ContentID(hex: String(repeating: "0f", count: 31)) == nil)
        #expect(ContentID(hex: String(repeating: "0g", count: 32)) == nil)
    }

    @Test func lsnsOrderByFileThenOffset() {
        #expect(LSN(file: 1, offset: 500) < LSN(file: 2, offset: 28))
        #expect(LSN(file: 2, offset: 28) < LSN(file: 2, offset: 29))
    }
}
