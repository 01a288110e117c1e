import Testing
import VarveFormat

@testable import VarveDatabase

@Suite struct PageCheckerTests {
    @Test(arguments: Fixture.all) func healthyFilesHaveNoBadPages(_ fixture: Fixture) throws {
        let logEnd = LSN(file: try #require(try fixture.logNumbers().last), offset: .max)
        var largest = LSN.zero
        for (name, checker) in try fixture.pageFiles() {
            let bytes = try fixture.bytes(name)
            let result = checker.check(bytes)
            #expect(result.badPages == [], "\(name)")
            #expect(result.pageCount == UInt64(bytes.count / checker.pageSize))
            largest = max(largest, result.largestLSN)
        }
        // Closing flushed everything: the pages hold the last change, just before the log's end.
        #expect(largest.file == logEnd.file || largest.file == logEnd.file - 1)
        #expect(largest > .zero)
    }

    @Test(arguments: Fixture.checksummed) func everyFlippedByteIsCaught(_ fixture: Fixture) throws {
        for (name, checker) in try fixture.pageFiles() {
            #expect(checker.checksums == .verified)
            var bytes = try fixture.bytes(name)
            let size = checker.pageSize
            // Every byte of small pages; of large ones the header and a sample, the sum is the same loop.
            let step = size > 512 ? 251 : 1
            for page in stride(from: 0, to: bytes.count, by: size) where !isHole(bytes, page) {
                let meta = [8, 9, 10, 14].contains(bytes[page + 25])
                for offset in stride(from: 0, to: meta ? 512 : size, by: step) {
                    // Of a MAC's room only four bytes are used; the rest of page 0 after 512 is not covered.
                    bytes[page + offset] ^= 0x10
                    let run = Array(bytes[page..<page + size])
                    let result = checker.check(run, from: UInt32(page / size))
                    if result.badPageCount != 1 {
                        Issue.record("\(name): byte \(offset) of page \(page / size)")
                    }
                    bytes[page + offset] ^= 0x10
                }
            }
        }
    }

    private func isHole(_ bytes: [UInt8], _ page: Int) -> Bool {
        bytes[page..<page + 12].allSatisfy { $0 == 0 } && bytes[page + 25] == 0
    }

    @Test(arguments: Fixture.all) func shiftedPagesAreCaught(_ fixture: Fixture) throws {
        for (name, checker) in try fixture.pageFiles() {
            let bytes = try fixture.bytes(name)
            guard bytes.count > checker.pageSize else { continue }
            let shifted = Array(bytes[checker.pageSize...])
            let result = checker.check(shifted)
            let pages = UInt64(shifted.count / checker.pageSize)
            let blank = result.zeroPages + result.freePages
            // Pages per extent are ciphertext: with extent 1, only a shift in the middle shows.
            if checker.numbering == .learned(extent: 1) { continue }
            #expect(result.badPageCount + blank >= pages && result.badPageCount > 0, "\(name)")
        }
    }

    @Test func aShiftInTheMiddleOfAnEncryptedExtentIsCaught() throws {
        let fixture = Fixture.named("encrypted-1024")
        let checker = PageChecker(header: try fixture.header("extents.db"), queueExtent: 1)
        let bytes = try fixture.bytes("__dbq.extents.db.1")
        #expect(checker.check(bytes + bytes).badPageCount == 2)
    }

    @Test func reasonsAndPositionsAreGiven() throws {
        let fixture = Fixture.named("checksum-512")
        let checker = PageChecker(header: try fixture.header("btree.db"))
        var bytes = try fixture.bytes("btree.db")
        bytes[3 * 512 + 8] = 77
        bytes[4 * 512 + 100] ^= 1
        bytes.removeLast(100)
        let result = checker.check(bytes)
        #expect(
            result.badPages == [
                BadPage(position: PageNumber(3), reason: .wrongNumber(PageNumber(77))),
                BadPage(position: PageNumber(4), reason: .checksum),
                BadPage(position: PageNumber(UInt32(bytes.count / 512)), reason: .incomplete),
            ])
        #expect(result.badPageCount == 3)
    }

    @Test func badPagesAreBoundedAndTheirLSNsIgnored() throws {
        let checker = PageChecker(header: try Fixture.named("plain-4096").header("btree.db"))
        let result = checker.check([UInt8](repeating: 0xee, count: 4096 * 300))
        #expect(result.badPageCount == 300)
        #expect(result.badPages.count == PageRunResult.badPageLimit)
        #expect(result.largestLSN == .zero)
    }

    @Test func holesAndUnloggedPages() throws {
        let checker = PageChecker(header: try Fixture.named("plain-4096").header("btree.db"))
        var bytes = [UInt8](repeating: 0, count: 4096 * 3)
        bytes[4096 + 3000] = 1
        bytes[8192 + 4] = 1
        bytes[8192 + 8] = 12
        bytes[8192 + 25] = 5
        let result = checker.check(bytes, from: 10)
        #expect(result.zeroPages == 1 && result.freePages == 1 && result.badPageCount == 0)
        #expect(result.largestLSN == .zero)
    }

    /// Recovery leaves such pages behind, and `db_verify` agrees with them.
    @Test func blankHashPagesHaveNoNumber() throws {
        let checker = PageChecker(header: try Fixture.named("checksum-512").header("hash.db"))
        var page = [UInt8](repeating: 0, count: 512)
        (page[23], page[25]) = (2, 13)
        let sum = page.withUnsafeBytes { checksum($0) }
        withUnsafeBytes(of: sum.littleEndian) { page.replaceSubrange(28..<32, with: $0) }
        let result = checker.check(page, from: 157)
        #expect(result.badPageCount == 0 && result.freePages == 1)
        page[40] = 1
        #expect(checker.check(page, from: 157).badPages.map(\.reason) == [.checksum])
        page[40] = 0
        page[25] = 5
        #expect(checker.check(page, from: 157).badPages.map(\.reason) == [.wrongNumber(PageNumber(0))])
    }

    @Test func runsAddUp() throws {
        let fixture = Fixture.named("big-endian-512")
        let checker = PageChecker(header: try fixture.header("hash.db"))
        let bytes = try fixture.bytes("hash.db")
        let whole = checker.check(bytes)
        var pieces = PageRunResult()
        bytes.withUnsafeBytes { all in
            for page in 0..<bytes.count / 512 {
                checker.check(
                    run: UnsafeRawBufferPointer(rebasing: all[page * 512..<page * 512 + 512]),
                    firstPage: PageNumber(UInt32(page)), into: &pieces)
            }
        }
        #expect(pieces == whole)
    }

    @Test func checksumIsThePlainLoop() {
        var random = SeededRandom()
        for length in 0..<300 {
            let bytes = random.bytes(length)
            let expected = bytes.reduce(UInt32(0)) { $0 &* 33 &+ UInt32($1) }
            #expect(bytes.withUnsafeBytes { checksum($0) } == expected, "seed \(random.seed)")
        }
    }

    @Test func randomBytesNeverTrap() throws {
        var random = SeededRandom()
        print("seed of randomBytesNeverTrap (pages): \(random.seed)")
        for fixture in Fixture.all {
            for (name, checker) in try fixture.pageFiles() {
                var bytes = try fixture.bytes(name)
                for _ in 0..<20 {
                    for _ in 0..<Int.random(in: 1...40, using: &random) {
                        bytes[Int.random(in: 0..<min(bytes.count, 2048), using: &random)] = UInt8(
                            truncatingIfNeeded: random.next())
                    }
                    _ = checker.check(bytes, from: UInt32(truncatingIfNeeded: random.next()))
                    if let header = try? bytes.withUnsafeBytes({ try DatabaseHeader.probe($0) }) {
                        let extent =
                            Bool.random(using: &random) ? UInt32(truncatingIfNeeded: random.next()) : nil
                        _ = PageChecker(header: header, queueExtent: extent).check(bytes, from: .max - 1)
                    }
                }
            }
        }
    }
}
