import VarveFormat

/// The beginning of an environment's shared memory (`REGENV`, `region.h:160`), as somebody sees it who has not joined.
///
/// Magic, panic, version, id and signature have the same place in every release. What follows them does not: its fields
/// are believed only where the version is 5.3 and the table of regions, which they lead to, begins with this region.
package struct RegionHead: Sendable, Hashable {
    package struct Version: Sendable, Hashable {
        package var major, minor, patch: UInt32
    }

    /// What only builds of 5.3 have in these places.
    package struct Fields: Sendable, Hashable {
        /// Of a pointer, in bytes.
        package var wordSize: Int
        /// Seconds since 1970.
        package var created: Int64
        package var isTransactional: Bool
        /// Handles that are open. Not zero while nobody is there: a process ended without closing.
        package var references: UInt32
        /// Where `DB_TXNREGION` lies in the region.
        package var transactions: UInt64
    }

    /// An error in shared memory made libdb give up: every call fails until recovery was run.
    package var isPanicked: Bool
    package var version: Version
    /// Changes when the environment is created anew.
    package var envid: UInt32
    /// Of the sizes of libdb's structures (`env_sig.c`): builds that may share a region have the same.
    package var signature: UInt32
    /// Nil for another release, or a build whose structures can't be made out.
    package var fields: Fields?

    package static let magic: UInt32 = 0x120897
    /// More than any build of 5.3 needs.
    package static let byteCount = 96

    /// Whether libdb 5.3 of this machine's word size made it: no other can be joined.
    package var isNative: Bool { fields?.wordSize == MemoryLayout<Int>.size }

    /// For people: who made it.
    package var maker: String {
        let release = "Berkeley DB \(version.major).\(version.minor).\(version.patch)"
        return switch fields?.wordSize {
        case nil where version.major == 5 && version.minor == 3: "another build of \(release)"
        case nil: release
        case MemoryLayout<Int>.size?: release
        case let size?: "\(release) in \(size * 8) bits"
        }
    }

    /// Fills the buffer from an offset of the region, and returns how many bytes there were.
    package typealias Read = (_ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) throws(VarveError) ->
        Int

    /// Nil if it was never finished, or is no region.
    package static func read(_ read: Read) throws(VarveError) -> RegionHead? {
        let bytes = try take(read, 0, byteCount)
        func word(_ offset: Int) -> UInt32 { Self.word(bytes, offset) }
        guard bytes.count >= 28, word(0) == magic else { return nil }
        var head = RegionHead(
            isPanicked: word(4) != 0, version: Version(major: word(8), minor: word(12), patch: word(16)),
            envid: word(20), signature: word(24), fields: nil)
        guard head.version.major == 5, head.version.minor == 3, bytes.count == byteCount else { return head }
        head.fields = try fields64(bytes, read)
        if head.fields == nil { head.fields = try fields32(bytes, read) }
        return head
    }

    // 64 bits: timestamp 32, init_flags 40, mtx_regenv 48, refcnt 56, region_cnt 60, region_off 64, tx_primary 88.
    private static func fields64(_ bytes: [UInt8], _ read: Read) throws(VarveError) -> Fields? {
        let table = long(bytes, 64)
        guard try isTable(count: word(bytes, 60), at: table, wordSize: 8, read) else { return nil }
        return Fields(
            wordSize: 8, created: Int64(bitPattern: long(bytes, 32)),
            isTransactional: isTransactional(word(bytes, 40)), references: word(bytes, 56),
            transactions: long(bytes, 88))
    }

    // 32 bits: timestamp 28, init_flags 32, mtx_regenv 36, refcnt 40, region_cnt 44, region_off 48, tx_primary 60.
    private static func fields32(_ bytes: [UInt8], _ read: Read) throws(VarveError) -> Fields? {
        let table = UInt64(word(bytes, 48))
        guard try isTable(count: word(bytes, 44), at: table, wordSize: 4, read) else { return nil }
        return Fields(
            wordSize: 4, created: Int64(Int32(bitPattern: word(bytes, 28))),
            isTransactional: isTransactional(word(bytes, 32)), references: word(bytes, 40),
            transactions: UInt64(word(bytes, 60)))
    }

    /// The first entry of the table (`REGION`: size, max, segid, id, type …) is this very region: id 1, type 1.
    private static func isTable(count: UInt32, at offset: UInt64, wordSize: Int, _ read: Read)
        throws(VarveError) -> Bool
    {
        guard (1..<10_000).contains(count), offset >= UInt64(byteCount / 2), offset < 1 << 30 else {
            return false
        }
        let place = 3 * wordSize
        let entry = try take(read, offset, place + 8)
        return entry.count == place + 8 && word(entry, place) == 1 && word(entry, place + 4) == 1
    }

    /// DB_INITENV_LOG 0x08, DB_INITENV_TXN 0x40.
    private static func isTransactional(_ flags: UInt32) -> Bool { flags & 0x48 == 0x48 }

    private static func take(_ read: Read, _ offset: UInt64, _ count: Int) throws(VarveError) -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { (buffer, used) throws(VarveError) in
            used = min(max(try read(offset, UnsafeMutableRawBufferPointer(buffer)), 0), count)
        }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        bytes.withUnsafeBytes { $0.integer(at: offset, as: UInt32.self) }
    }

    private static func long(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        bytes.withUnsafeBytes { $0.integer(at: offset, as: UInt64.self) }
    }
}

/// All that `__db.001` holds where the regions lie in System V memory (`REGENV_REF`, `region.h:152`).
package struct RegionReference: Sendable, Hashable {
    package var segment: Int64

    /// Of 64-bit and of 32-bit builds. Nothing else in that file is so short (`env_region.c:137`).
    package static func isSize(_ size: UInt64) -> Bool { size == 24 || size == 12 }

    /// Nil if it is no reference.
    package init?(_ bytes: [UInt8]) {
        switch bytes.count {
        case 24: segment = bytes.withUnsafeBytes { $0.integer(at: 16, as: Int64.self) }
        case 12:
            segment = bytes.withUnsafeBytes { Int64($0.integer(at: 8, as: Int32.self)) }
        default: return nil
        }
    }
}
