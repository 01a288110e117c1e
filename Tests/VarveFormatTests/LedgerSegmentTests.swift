import Testing
import VarveFormat
import VarveTestSupport

/// A ledger is read as far as it can be: damage costs the rows that lie there.
@Suite struct LedgerSegmentTests {
    static let repository = RepositoryID(Array(1...16))
    static let copy = RepositoryID(Array(101...116))
    static let names = (0..<8).map { number in
        ContentID(hex: String(repeating: "0123456789abcde\(number)", count: 4)) ?? .zero
    }
    static let round = Timestamp(seconds: 1_790_000_000, nanoseconds: 5)

    static let rows: [LedgerRow] = [
        .init(
            kind: .pack, hash: names[0], method: .direct, result: .good,
            time: Timestamp(seconds: 1_790_000_001), round: round, size: 16 << 20,
            device: "/dev/sdb1 ext4 uuid=1"),
        .init(
            kind: .pack, hash: names[1], method: .dropBehind, result: .mismatch,
            time: Timestamp(seconds: 1_790_000_002), round: nil, size: 99, bad: 4096..<8192, device: nil),
        .init(
            kind: .pack, hash: names[1], method: .dropBehind, result: .mismatch,
            time: Timestamp(seconds: 1_790_000_002), round: nil, size: 99, bad: 16384..<20480,
            device: "server:/x nfs4 dev=0:52"),
        .init(
            kind: .manifest, hash: names[2], method: .direct, result: .unreadable,
            time: Timestamp(seconds: 1_790_000_003, nanoseconds: 999_999_999), round: round, size: .max,
            bad: 0..<1, device: "/dev/sdb1 ext4 uuid=1"),
        .init(
            kind: .roundEnd, hash: .zero, method: .direct, result: .good,
            time: Timestamp(seconds: 1_790_000_004), round: round, size: 0),
    ]

    static var encoded: [UInt8] { LedgerSegment.encode(rows, repository: repository, copy: copy) }

    private func read(_ bytes: [UInt8]) throws -> LedgerSegment {
        try bytes.withUnsafeBytes {
            try LedgerSegment(salvaging: $0, repository: Self.repository, copy: Self.copy)
        }
    }

    private func rowRange(_ number: Int) -> Range<Int> {
        let start = LedgerSegment.headerLength + number * LedgerSegment.rowLength
        return start..<start + LedgerSegment.rowLength
    }

    @Test func whatIsWrittenIsRead() throws {
        let segment = try read(Self.encoded)
        #expect(segment.rows == Self.rows)
        #expect(segment.damage == nil)
        let empty = try read(LedgerSegment.encode([], repository: Self.repository, copy: Self.copy))
        #expect(empty.rows == [] && empty.damage == nil)
    }

    /// At each length the rows that are whole are read, and something is said.
    @Test func truncated() throws {
        let bytes = Self.encoded
        for length in 0..<bytes.count {
            guard length >= LedgerSegment.headerLength else {
                expect(.corrupt) { try read(Array(bytes[..<length])) }
                continue
            }
            let segment = try read(Array(bytes[..<length]))
            #expect(segment.damage != nil, "\(length)")
            let whole = min(Self.rows.count, (length - LedgerSegment.headerLength) / LedgerSegment.rowLength)
            #expect(segment.rows.map(\.hash) == Self.rows[..<whole].map(\.hash), "\(length)")
        }
    }

    /// A flipped bit costs one row at most, and never gives another one.
    @Test func flipped() throws {
        let bytes = Self.encoded
        for bit in 0..<bytes.count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            let segment = try read(damaged)
            #expect(segment.damage != nil, "bit \(bit)")
            let hit = Self.rows.indices.first { rowRange($0).contains(bit / 8) }
            let expected = Self.rows.indices.filter { $0 != hit }.map { Self.rows[$0] }
            let isDevice = hit == nil && segment.rows.contains { $0.device == nil }
            #expect(
                segment.rows.map(\.hash) == expected.map(\.hash)
                    && (isDevice || segment.rows == expected), "bit \(bit)")
        }
    }

    /// Counts that promise more than there is cost nothing and read what is there.
    @Test func hostileCounts() throws {
        for offset in [44, 46, 47, 48, 51] {
            for value in [0xFF, 0x7F] as [UInt8] {
                var bytes = Self.encoded
                bytes[offset] = value
                let crc = bytes[..<60].withUnsafeBytes { CRC32C.of($0) }
                withUnsafeBytes(of: crc.littleEndian) { bytes.replaceSubrange(60..<64, with: $0) }
                let segment = try read(bytes)
                #expect(segment.damage != nil)
                #expect(segment.rows.count <= Self.rows.count)
            }
        }
    }

    @Test func ofAnotherCopyOrVersion() throws {
        let other = LedgerSegment.encode(Self.rows, repository: Self.repository, copy: Self.repository)
        expect(.corrupt) { try read(other) }
        // With the header gone, the rows themselves know whose they are.
        var headless = other
        headless[0] ^= 1
        #expect(try read(headless).rows == [])
        var later = Self.encoded
        later[8] = 2
        let crc = later[..<60].withUnsafeBytes { CRC32C.of($0) }
        withUnsafeBytes(of: crc.littleEndian) { later.replaceSubrange(60..<64, with: $0) }
        expect(.unsupported) { try read(later) }
    }
}
