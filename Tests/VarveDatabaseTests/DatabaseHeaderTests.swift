import Testing
import VarveDatabase
import VarveFormat
import VarveTestSupport

@Suite struct DatabaseHeaderTests {
    @Test(arguments: Fixture.all) func agreesWithLibdb(_ fixture: Fixture) throws {
        let facts = try fixture.facts("database")
        #expect(!facts.isEmpty)
        for fact in facts {
            let (file, kind) = (fact[0], fact[1])
            let header = try fixture.header(file)
            let methods: [String: AccessMethod] = [
                "btree": .btree, "hash": .hash, "recno": .recno, "queue": .queue, "extents": .queue,
                "heap": .heap,
                "several": .btree, "partition": .btree,
            ]
            #expect(header.method == methods[kind])
            #expect(header.pageSize == Int(fact[2]))
            #expect(header.byteOrder == (fact[3] == "1234" ? .little : .big))
            #expect(header.holdsSeveralDatabases == (kind == "several"))
            #expect(header.partitions == (kind == "partition" ? 3 : 0))
            #expect(header.isEncrypted == fixture.name.hasPrefix("encrypted"))
            #expect(header.hasChecksums == !["plain-4096", "absolute-512"].contains(fixture.name))
            #expect(header.fileID.utf8.count == (header.isEncrypted ? 24 : 40))
            if header.method == .queue && !header.isEncrypted {
                #expect(header.queue?.recordLength == 120)
                #expect(header.queue?.pagesPerExtent == (kind == "extents" ? 2 : 0))
            } else {
                #expect(header.queue == nil)
            }
        }
    }

    @Test func uidsTellFilesApart() throws {
        for fixture in Fixture.all {
            let names = try fixture.fileNames.filter { $0.hasSuffix(".db") }
            let ids = Set(try names.map { try fixture.header($0).fileID })
            #expect(ids.count == names.count)
        }
    }

    @Test func otherFilesAreNoDatabases() throws {
        for bytes in [[], [UInt8](repeating: 0, count: 4096), Array("set_data_dir data\n".utf8)] {
            #expect(try bytes.withUnsafeBytes { try DatabaseHeader.probe($0) } == nil)
        }
        let log = try Fixture.named("plain-4096").bytes("log.0000000001")
        #expect(try log.withUnsafeBytes { try DatabaseHeader.probe($0) } == nil)
    }

    /// Short of the magic number a file is none; with it, it is a broken one.
    @Test func truncatedAtEveryLength() throws {
        let bytes = try Fixture.named("checksum-512").bytes("btree.db")
        for length in 0..<512 {
            let part = Array(bytes[..<length])
            if length < 16 {
                #expect(try part.withUnsafeBytes { try DatabaseHeader.probe($0) } == nil)
            } else {
                expect(.corrupt) { try part.withUnsafeBytes { try DatabaseHeader.probe($0) } }
            }
        }
    }

    @Test(
        arguments: [
            (8, 1, .corrupt), (16, 7, .unsupported), (16, 10, .unsupported), (20, 1, .corrupt),
            (21, 3, .corrupt),
            (22, 2, .corrupt), (24, 2, .unsupported), (25, 5, .corrupt),
        ] as [(Int, UInt8, VarveError.Code)])
    func brokenMetaPages(_ offset: Int, _ value: UInt8, _ code: VarveError.Code) throws {
        var bytes = try Fixture.named("plain-4096").bytes("btree.db")
        bytes[offset] = value
        expect(code) {
            try bytes.withUnsafeBytes { try DatabaseHeader.probe($0) }
        }
    }

    @Test func placeholdersOfRenames() throws {
        var bytes = [UInt8](repeating: 0, count: 512)
        bytes.replaceSubrange(12..<16, with: [0x00, 0x08, 0x03, 0x00])
        #expect(bytes.withUnsafeBytes { DatabaseHeader.isRenamed($0) })
        #expect(try bytes.withUnsafeBytes { try DatabaseHeader.probe($0) } == nil)
        bytes[12] = 1
        #expect(!bytes.withUnsafeBytes { DatabaseHeader.isRenamed($0) })
    }
}
