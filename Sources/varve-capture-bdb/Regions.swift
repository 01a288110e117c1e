import VarveDatabase
import VarveFiles
import VarveFormat

/// The primary region `__db.001`, read as a file: which regions these are, and the hot-backup counter, which
/// libdb counts in shared memory but shows only as "not zero" (env_method.c:907).
enum Regions {
    static let name = FileRights.regionName

    /// Throws unless every region file is a file of the owner's own: what libdb maps it believes, and it writes to it.
    /// A link would make it somebody else's memory.
    static func requireOwn(_ root: RootDirectory, _ rights: FileRights) throws {
        for name in try root.names() {
            guard case .region = EnvironmentFileKind.classify(name) else { continue }
            guard let status = try root.status(of: name) else { continue }
            guard status.kind == .regular else {
                throw VarveError(
                    .refused, "\(status.kindName) where a region file of its own should be",
                    location: Path.join(root.path, name),
                    hint: "find out who made it; stop the application, remove it and run recovery")
            }
            try rights.requireOwnRegion(status, root.path)
        }
    }

    /// The head of `REGENV` is fixed for all releases (region.h:160): magic 0, panic 4, versions 8–19, envid 20,
    /// signature 24, creation time 32. Regions in System V memory have a small reference in the file instead;
    /// its bytes serve as well, being drawn anew with the region.
    static func identity(_ root: RootDirectory) throws -> CaptureJournal.Region? {
        guard try root.status(of: name) != nil else { return nil }
        let file = try root.open(reading: name)
        let status = try file.status()
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
    static func hotBackups(_ root: RootDirectory, lastCheckpoint: LSN) -> UInt32? {
        guard MemoryLayout<Int>.size == 8, let file = try? root.open(reading: name),
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
