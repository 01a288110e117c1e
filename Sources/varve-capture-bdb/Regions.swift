import VarveDatabase
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// The primary region `__db.001`, read as a file: which regions these are, and the hot-backup counter, which
/// libdb counts in shared memory but shows only as "not zero" (env_method.c:907).
enum Regions {
    static let name = FileRights.regionName

    /// Throws unless every region file is a file of the owner's own: what libdb maps it believes, and it writes to it.
    /// A link would make it somebody else's memory.
    static func requireOwn(_ root: RootDirectory, _ rights: FileRights) throws(VarveError) {
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

    /// Which regions these are; nil if there are none. Of those that can't be read (System V memory that is gone, or was
    /// never finished) the file's own bytes serve as well.
    static func identity(_ root: RootDirectory) throws(VarveError) -> CaptureJournal.Region? {
        guard try root.status(of: name) != nil else { return nil }
        let file = try root.open(reading: name)
        let status = try file.status()
        var head: RegionHead?
        if let bytes = try RegionBytes(file) {
            head = try RegionHead.read { (offset, buffer) throws(VarveError) in
                try bytes.read(file, into: buffer, at: offset)
            }
        }
        var created = head?.fields?.created ?? 0
        if head == nil, let reference = RegionReference(try read(file, at: 0, count: 24)) {
            created = reference.segment
        }
        return CaptureJournal.Region(
            device: status.device, inode: status.inode, envid: head?.envid ?? 0, created: created)
    }

    /// `DB_TXNREGION.n_hotbackup`, nil where the layout is not the one this was written against: 5.3.28 in 64
    /// bits, in the transaction region `last_ckp` at 40 and the counter at 164 (txn.h:159). That `last_ckp` is what
    /// `txn_stat` says makes sure of it.
    static func hotBackups(_ root: RootDirectory, lastCheckpoint: LSN) -> UInt32? {
        guard MemoryLayout<Int>.size == 8, let file = try? root.open(reading: name),
            let bytes = try? RegionBytes(file),
            let head = try? RegionHead.read({ (offset, buffer) throws(VarveError) in
                try bytes.read(file, into: buffer, at: offset)
            }), head.isNative,
            let offset = head.fields?.transactions, offset > 0, offset < 1 << 40
        else { return nil }
        var region = [UInt8](repeating: 0, count: 168)
        guard
            (try? region.withMutableBytes { (room) throws(VarveError) in
                try bytes.read(file, into: room, at: offset)
            })
                == region.count
        else { return nil }
        return region.withUnsafeBytes { bytes in
            func word(_ offset: Int) -> UInt32 {
                bytes.integer(at: offset, as: UInt32.self)
            }
            guard LSN(file: word(40), offset: word(44)) == lastCheckpoint else { return nil }
            // More than this is no counter of backups.
            return word(164) < 10_000 ? word(164) : nil
        }
    }

    static func read(_ file: borrowing File, at offset: UInt64, count: Int) throws(VarveError) -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { (buffer, used) throws(VarveError) in
            used = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
    }
}

/// Where the bytes of a primary region are: in `__db.001` itself, or in the System V segment that it names.
struct RegionBytes {
    private let memory: SystemVMemory?

    /// Nil if the memory is not here.
    init?(_ file: borrowing File) throws(VarveError) {
        let size = try file.status().size
        guard RegionReference.isSize(size) else {
            memory = nil
            return
        }
        guard let reference = RegionReference(try Regions.read(file, at: 0, count: Int(size))),
            let found = try SystemVMemory.find(reference.segment)
        else { return nil }
        memory = found
    }

    func read(_ file: borrowing File, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64)
        throws(VarveError)
        -> Int
    {
        if let memory { return try memory.read(into: buffer, at: offset) }
        return try file.read(into: buffer, at: offset)
    }
}
