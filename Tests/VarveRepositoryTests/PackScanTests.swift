import Testing
import VarveBlobs
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveTestSupport

@Suite struct PackScanTests {
    let directory: TemporaryDirectory
    let repository: Repository
    let pack: String
    let bytes: [UInt8]
    let entries: [Pack.Entry]

    init() throws {
        directory = try TemporaryDirectory()
        repository = try GoldenRepository.create(at: directory.path)
        pack = try TestRepository.packs(repository)[0]
        bytes = try Bytes.read(repository.path(ofPack: pack))
        let id = try #require(ContentID(hex: pack))
        entries = try PackReader.directory(of: id, in: DirectoryStorage(directory.path)).entries
    }

    private func scan(_ bytes: [UInt8]) -> PackContents {
        bytes.withUnsafeBytes { PackContents(scanning: $0) }
    }

    @Test func aScanSaysWhatTheDirectorySays() {
        let contents = scan(bytes)
        #expect(contents.entries == entries)
        #expect(contents.damaged.isEmpty)
    }

    @Test func aScanGoesOnBehindADamagedHeader() {
        for (number, entry) in entries.enumerated() {
            for at in 0..<entry.header.length {
                var damaged = bytes
                damaged[Int(entry.offset) + at] ^= 0x10
                let contents = scan(damaged)
                var rest = entries
                rest.remove(at: number)
                #expect(contents.entries == rest, "byte \(at) of header \(number)")
                #expect(contents.damaged.count == 1)
                #expect(contents.damaged.first?.lowerBound == Int(entry.offset))
            }
        }
    }

    @Test func aScanSkipsADamagedRegion() {
        let first = Int(entries[2].offset) + 7
        let last = Int(entries[5].offset) + 9
        var damaged = bytes
        damaged.replaceSubrange(first..<last, with: repeatElement(0, count: last - first))
        let contents = scan(damaged)
        // Blob 2's header is damaged behind its magic number, blob 5's in it.
        #expect(contents.entries == entries.filter { ![2, 3, 4, 5].contains(entries.firstIndex(of: $0)) })
        #expect(contents.damaged == [Int(entries[2].offset)..<Int(entries[6].offset)])
    }

    /// With the end damaged in any way, the blobs are found by the scan.
    @Test func aDamagedDirectoryCostsNothing() throws {
        let end = entries.last.map { Int($0.offset) + $0.header.totalLength } ?? 0
        let id = try #require(ContentID(hex: pack))
        for at in stride(from: end, to: bytes.count, by: 5) {
            var damaged = bytes
            damaged[at] ^= 0xFF
            try Bytes.write(damaged, to: repository.path(ofPack: pack))
            #expect(try PackReader.contents(of: id, in: DirectoryStorage(directory.path)).entries == entries)
        }
        for length in stride(from: end, to: bytes.count, by: 5) {
            try Bytes.write(Array(bytes.prefix(length)), to: repository.path(ofPack: pack))
            #expect(try PackReader.contents(of: id, in: DirectoryStorage(directory.path)).entries == entries)
            // Read without index: by the scan alone.
            for name in try Directory.list(directory.join("indexes")) {
                try Directory.removeFile(directory.join("indexes/\(name)"))
            }
            let read = try repository.reader().read(dataID(GoldenRepository.chained), .data)
            #expect(read == GoldenRepository.chained)
        }
    }

    @Test func randomBytesNeverTrap() {
        var random = SeededRandom()
        for _ in 0..<2000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                damaged[Int.random(in: damaged.indices, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            damaged = Array(damaged.prefix(Int.random(in: 0...damaged.count, using: &random)))
            for entry in scan(damaged).entries {
                #expect(Int(entry.offset) + entry.header.totalLength <= damaged.count, "seed \(random.seed)")
            }
        }
    }
}
