import VarveFiles
import VarveFormat

/// The primary region `__db.001`, read as a file: which regions these are, and the hot-backup counter, which
/// libdb counts in shared memory but shows only as "not zero" (env_method.c:907).
enum Regions {
    static func path(_ home: String) -> String { Path.join(home, "__db.001") }

    /// The head of `REGENV` is fixed for all releases (region.h:160): magic 0, panic 4, versions 8–19, envid 20,
    /// signature 24, creation time 32. Regions in System V memory have a small reference in the file instead;
    /// its bytes serve as well, being drawn anew with the region.
    static func identity(_ home: String) throws -> CaptureJournal.Region? {
        guard let status = try FileStatus.of(path(home)) else { return nil }
        let file = try File.open(reading: path(home))
        let head = try read(file, at: 0, count: 40)
        func word<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
            guard head.count >= offset + MemoryLayout<T>.size else { return 0 }
            return head.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
        }
        return CaptureJournal.Region(
            device: status.device, inode: status.inode, envid: word(20, UInt32.self),
            created: word(32, Int64.self))
    }

    /// `DB_TXNREGION.n_hotbackup`, nil where the layout is not the one this was written against: 5.3.28 in 64
    /// bits, `REGENV.tx_primary` at 88 (region.h:159), in the transaction region `last_ckp` at 40 and the counter
    /// at 164 (txn.h:159). That `last_ckp` is what `txn_stat` says makes sure of it.
    static func hotBackups(_ home: String, lastCheckpoint: LSN) -> UInt32? {
        guard MemoryLayout<Int>.size == 8, let file = try? File.open(reading: path(home)),
            let head = try? read(file, at: 0, count: 96), head.count == 96
        else { return nil }
        let (major, minor, offset) = head.withUnsafeBytes {
            (
                $0.loadUnaligned(fromByteOffset: 8, as: UInt32.self),
                $0.loadUnaligned(fromByteOffset: 12, as: UInt32.self),
                $0.loadUnaligned(fromByteOffset: 88, as: UInt64.self)
            )
        }
        guard major == 5, minor == 3, offset > 0, offset < 1 << 40,
            let region = try? read(file, at: offset, count: 168), region.count == 168
        else { return nil }
        return region.withUnsafeBytes { bytes in
            func word(_ offset: Int) -> UInt32 {
                bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            }
            guard LSN(file: word(40), offset: word(44)) == lastCheckpoint else { return nil }
            // More than this is no counter of backups.
            return word(164) < 10_000 ? word(164) : nil
        }
    }

    static func read(_ file: borrowing File, at offset: UInt64, count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            used = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
    }
}
