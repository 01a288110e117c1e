import Testing
import VarveFormat
import VarveTestSupport

@testable import VarveDatabase

@Suite struct LogWalkerTests {
    @Test(arguments: Fixture.all) func agreesWithLibdb(_ fixture: Fixture) throws {
        let facts = try fixture.facts("log").map { $0.compactMap { UInt32($0) } }
        #expect(facts.map { $0[0] } == (try fixture.logNumbers()))
        for fact in facts {
            let number = fact[0]
            let summary = try fixture.summary(number)
            #expect(summary.recordCount == UInt64(fact[1]))
            #expect(summary.firstLSN == LSN(file: number, offset: fact[2]))
            #expect(summary.lastLSN == LSN(file: number, offset: fact[3]))
            #expect(summary.end == .zeroTail || summary.end == .clean)
            if fixture.name.hasPrefix("encrypted") {
                #expect(summary.isEncrypted && summary.commitCount == 0)
            } else {
                #expect(summary.commitCount == UInt64(fact[4]))
                #expect(summary.header?.version == 19)
            }
        }
        let chain = try LogChain.check(try fixture.logNumbers().map { try fixture.summary($0) })
        let checkpoint = try #require(try fixture.facts("checkpoint").first).compactMap { UInt32($0) }
        if !chain.isEncrypted {
            #expect(chain.lastCheckpoint?.lsn == LSN(file: checkpoint[0], offset: checkpoint[1]))
        }
    }

    @Test(arguments: Fixture.readableLogs) func checkpointsAreLinked(_ fixture: Fixture) throws {
        let all = try fixture.logNumbers().flatMap { try fixture.summary($0).checkpoints }
        #expect(all.count >= 3)
        #expect(all.first?.previous == .zero)
        for (before, after) in zip(all, all.dropFirst()) { #expect(after.previous == before.lsn) }
        #expect(all.allSatisfy { $0.checkpointLSN <= $0.lsn && $0.time > 1_500_000_000 })
        let ids = Set(try fixture.logNumbers().flatMap { try fixture.summary($0).environmentIDs })
        #expect(ids.count == 1)
    }

    @Test func registrationsNameFilesByTheirUid() throws {
        let fixture = Fixture.named("checksum-512")
        var found: [String: String] = [:]
        for number in try fixture.logNumbers() {
            let bytes = try fixture.bytes(EnvironmentFileKind.logName(number))
            _ = try bytes.withUnsafeBytes { all in
                try LogWalker.walk(number: number, bytes: all) { record in
                    if case .register(let file) = record.event { found[file.name] = file.fileID }
                }
            }
        }
        for name in ["btree.db", "hash.db", "recno.db", "queue.db", "heap.db"] {
            #expect(found[name] == (try fixture.header(name).fileID), "\(name)")
        }
    }

    @Test func namesOutsideAreFound() throws {
        let directory = "/tmp/varve-fixture-elsewhere/"
        let fixture = Fixture.named("absolute-512")
        let names = Set(try fixture.logNumbers().flatMap { try fixture.summary($0).absoluteNames.names })
        #expect(names.contains(directory + "outside.db"))
        // The other one is the temporary name that the database was made under.
        #expect(names.count == 2 && names.allSatisfy { $0.hasPrefix(directory) })
        let other = Fixture.named("checksum-512")
        for number in try other.logNumbers() {
            #expect(try other.summary(number).absoluteNames.isEmpty)
            #expect(try other.summary(number).climbingNames.isEmpty)
        }
    }

    @Test func climbingPaths() {
        for path in ["../x", "a/../../x", "..", "./../x", "a/b/../../../c/d"] {
            #expect(PathShape.climbs(path))
        }
        for path in ["x", "a/../x", "", "./x", "..x", "a/..b", "/../x"] { #expect(!PathShape.climbs(path)) }
    }

    @Test(arguments: ["checksum-512", "encrypted-1024"]) func truncatedAtEveryLength(_ name: String) throws {
        let fixture = Fixture.named(name)
        let bytes = try fixture.bytes("log.0000000001")
        let whole = try walk(1, bytes)
        let header = try #require(whole.header?.byteCount)
        for length in stride(from: 0, to: Int(whole.validLength), by: 13) {
            let part = Array(bytes[..<length])
            // Eight of the header's first bytes may be zeros, and zeros alone are no header.
            guard length >= header else {
                if let summary = try? walk(1, part) { #expect(summary.header == nil) }
                continue
            }
            let summary = try walk(1, part)
            #expect(summary.validLength <= UInt64(length))
            let rest = part[Int(summary.validLength)...]
            // The `prev` that the next record begins with may be a zero.
            if rest.isEmpty {
                #expect(summary.end == .clean)
            } else if rest.allSatisfy({ $0 == 0 }) {
                #expect(summary.end == .zeroTail && rest.count < 12)
            } else {
                #expect(summary.end == .torn(at: summary.validLength))
            }
        }
    }

    @Test(arguments: Fixture.readableLogs) func everyFlippedByteIsCaught(_ fixture: Fixture) throws {
        let number = try #require(try fixture.logNumbers().first)
        var bytes = try fixture.bytes(EnvironmentFileKind.logName(number))
        let valid = try Int(walk(number, bytes).validLength)
        // All of the first records, then a sample: each walk reads up to the damage.
        for offset in Array(0..<min(valid, 1500)) + Array(stride(from: 1500, to: valid, by: 97)) {
            bytes[offset] ^= 0x40
            if let damaged = try? walk(number, bytes) {
                if case .torn(let at) = damaged.end {
                    #expect(at <= UInt64(offset))
                } else {
                    Issue.record("\(fixture.name): byte \(offset) was flipped, and nothing said so")
                }
            }
            bytes[offset] ^= 0x40
        }
    }

    @Test func recordsLargerThanTheBuffer() throws {
        // With pages of 64 KiB the log has records of that size, twice the smallest buffer.
        let fixture = Fixture.named("checksum-65536")
        for number in try fixture.logNumbers() {
            let bytes = try fixture.bytes(EnvironmentFileKind.logName(number))
            var reads = 0
            var largest: UInt32 = 0
            let small = try bytes.withUnsafeBytes { all in
                try LogWalker.walk(number: number, size: UInt64(all.count), bufferSize: 0) { offset, buffer in
                    reads += 1
                    // Short reads, as a system call may return.
                    let part = all[min(Int(offset), all.count)...].prefix(min(buffer.count, 5000))
                    buffer.copyBytes(from: part)
                    return part.count
                } visit: {
                    largest = max(largest, $0.length)
                }
            }
            #expect(small == (try walk(number, bytes)))
            if number == 1 { #expect(largest > UInt32(LogWalker.minimumBufferSize) && reads > 10) }
        }
    }

    @Test func aFileThatShrinksIsTakenAsItIs() throws {
        let bytes = try Fixture.named("plain-4096").bytes("log.0000000001")
        let summary = try bytes.withUnsafeBytes { all in
            try LogWalker.walk(number: 1, size: UInt64(all.count)) { offset, buffer in
                let part = all.prefix(2000)[min(Int(offset), 2000)...].prefix(buffer.count)
                buffer.copyBytes(from: part)
                return part.count
            }
        }
        #expect(summary.size == 2000 || summary.end == .torn(at: summary.validLength))
        #expect(summary.validLength <= 2000)
    }

    @Test func otherByteOrderAndVersionsAreRefused() throws {
        var bytes = try Fixture.named("plain-4096").bytes("log.0000000001")
        let magic = Array(bytes[12..<16])
        bytes.replaceSubrange(12..<16, with: magic.reversed())
        #expect(expect(.unsupported) { try walk(1, bytes) }?.message.contains("big-endian") == true)
        bytes.replaceSubrange(12..<16, with: magic)
        bytes[16] = 24
        expect(.unsupported) { try walk(1, bytes) }
    }

    @Test func preallocatedFilesHaveNoHeader() throws {
        let empty = try walk(7, [UInt8](repeating: 0, count: 5000))
        #expect(
            empty.header == nil && empty.validLength == 0 && empty.end == .zeroTail && empty.lastLSN == nil)
        #expect(try walk(7, []).end == .clean)
    }

    @Test func randomBytesNeverTrap() throws {
        var random = SeededRandom()
        print("seed of randomBytesNeverTrap (logs): \(random.seed)")
        for _ in 0..<300 { _ = try? walk(1, random.bytes(Int.random(in: 0...200, using: &random))) }
        for fixture in Fixture.all {
            let bytes = try fixture.bytes("log.0000000001")
            for _ in 0..<100 {
                var damaged = bytes
                let from = Int.random(in: 0..<3000, using: &random)
                let noise = random.bytes(Int.random(in: 1...64, using: &random))
                damaged.replaceSubrange(from..<from + noise.count, with: noise)
                _ = try? walk(1, damaged)
            }
        }
    }

    /// As libdb leaves the last record at rest: what its buffer held, and zeros. Wherever it is cut, nothing is hidden.
    @Test func aRecordWhoseRestIsMissingHidesNothing() throws {
        let whole = try Fixture.named("checksum-512").bytes("log.0000000001")
        var starts: [Int] = []
        let summary = try whole.withUnsafeBytes { bytes in
            try LogWalker.walk(number: 1, bytes: bytes) { starts.append(Int($0.lsn.offset)) }
        }
        var unfinished = 0
        for cut in Int(summary.validLength) - 600..<Int(summary.validLength) {
            var bytes = whole
            for index in cut..<bytes.count { bytes[index] = 0 }
            let found = try bytes.withUnsafeBytes { try LogWalker.walk(number: 1, bytes: $0) }
            guard case .torn(let offset) = found.end else {
                // Only zeros were cut off, or nothing but zeros of the record is left.
                #expect(found.unfinishedEnd == nil)
                continue
            }
            unfinished += 1
            let next = starts.first { $0 > Int(offset) } ?? Int(summary.validLength)
            let end = try #require(found.unfinishedEnd)
            #expect(end >= UInt64(cut) && (end <= UInt64(next) || end == offset + 12))

            // The control: one byte behind the record, wherever that is.
            let behind = max(Int(end), next)
            guard behind < bytes.count else { continue }
            bytes[behind + (bytes.count - behind) / 2] = 1
            let hiding = try bytes.withUnsafeBytes { try LogWalker.walk(number: 1, bytes: $0) }
            #expect(hiding.unfinishedEnd == nil)
        }
        #expect(unfinished > 100)
        // A damaged record with others behind it.
        var bytes = whole
        bytes[starts[starts.count / 2] + 14] ^= 1
        let damaged = try bytes.withUnsafeBytes { try LogWalker.walk(number: 1, bytes: $0) }
        #expect(damaged.end == .torn(at: UInt64(starts[starts.count / 2])) && damaged.unfinishedEnd == nil)
    }
}
