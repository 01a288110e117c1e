import VarveFormat

/// How a database file keeps its records (`DBTYPE` of `db.h`).
package enum AccessMethod: String, Sendable, Hashable, CaseIterable {
    case btree, recno, hash, queue, heap
}

/// The byte order of the integers in a database file: either may be read on any machine.
package enum ByteOrder: String, Sendable, Hashable {
    case little, big
}

/// What a queue's meta page says of its layout (`struct _qmeta33`, `db_page.h:217`).
package struct QueueLayout: Sendable, Hashable {
    /// Bytes of a record.
    package var recordLength: UInt32
    package var recordsPerPage: UInt32
    /// Pages in each extent file `__dbq.<name>.<n>`; 0 when all pages are in the main file.
    package var pagesPerExtent: UInt32
}

/// What page 0 of a Berkeley DB file says of the file (`struct _dbmeta33`, `db_page.h:72`).
package struct DatabaseHeader: Sendable, Hashable {
    package var method: AccessMethod
    /// Of the access method's layout, 9 for a btree of libdb 5.3.
    package var version: UInt32
    /// Bytes of a page: a power of two, 512 to 65536.
    package var pageSize: Int
    package var byteOrder: ByteOrder
    /// Pages carry checksums. Always so when the file is encrypted, where they are MACs that need the key.
    package var hasChecksums: Bool
    /// Pages are encrypted after their first 64 bytes (`__crypto_decrypt_meta`, `crypto.c`).
    package var isEncrypted: Bool
    /// The last page when the meta page was last written: a hint, growth does not update it at once.
    package var lastPage: PageNumber
    /// The file's uid in hexadecimal, 40 digits. Of an encrypted file only 24 are legible (12 bytes): the
    /// rest is ciphertext and changes with every write.
    package var fileID: String
    package var lsn: LSN
    /// The access method's own flags.
    package var flags: UInt32
    /// The file is a btree whose records are the names of several databases in it (`BTM_SUBDB`).
    package var holdsSeveralDatabases: Bool
    /// How many partition files `__dbp.<name>.<nnn>` belong to the database; 0 for none.
    package var partitions: UInt32
    /// Nil unless it is a queue; nil for an encrypted queue too, its layout is ciphertext.
    package var queue: QueueLayout?

    /// Enough of page 0 to parse it: `DBMETASIZE`, `db_page.h:248`.
    package static let byteCount = 512
    /// Written over the magic number of a file that a transaction is renaming or removing (`db.in:1301`).
    package static let renamedMagic: UInt32 = 0x030800
}

extension DatabaseHeader {
    /// Reads page 0 from the first bytes of a file, at least 512 of them unless the file is shorter.
    ///
    /// Returns nil for bytes that are no database: too short for a magic number, or another number there.
    /// Throws `.corrupt` for a database whose meta page makes no sense, `.unsupported` for one of a version
    /// that libdb 5.3 does not open without an upgrade. A checksum is not checked here, see `PageChecker`.
    package static func probe(_ bytes: UnsafeRawBufferPointer) throws(VarveError) -> DatabaseHeader? {
        guard let kind = Kind(bytes) else { return nil }
        guard bytes.count >= byteCount else {
            throw VarveError(.corrupt, "the meta page ends early: \(bytes.count) bytes of \(byteCount)")
        }
        let page = PageFields(bytes: bytes, swapped: kind.byteOrder.isSwappedHere)
        guard kind.versions.contains(page.word(16)) else {
            throw VarveError(
                .unsupported, "\(kind.method) version \(page.word(16)) is not one that libdb 5.3 opens",
                hint: "upgrade the database with db_upgrade")
        }
        let pageSize = page.word(20)
        guard pageSize >= 512 && pageSize <= 65536 && pageSize & (pageSize - 1) == 0 else {
            throw VarveError(.corrupt, "the meta page gives a page size of \(pageSize) bytes")
        }
        guard bytes[25] == kind.metaType else {
            throw VarveError(.corrupt, "page 0 of a \(kind.method) has page type \(bytes[25])")
        }
        guard page.word(8) == 0 else {
            throw VarveError(.corrupt, "page 0 calls itself page \(page.word(8))")
        }
        guard bytes[24] <= 1 else {
            throw VarveError(.unsupported, "the encryption algorithm \(bytes[24]) is unknown")
        }
        return DatabaseHeader(page, kind: kind, pageSize: Int(pageSize))
    }

    /// Whether the file is the placeholder of a rename or removal that its transaction has not finished: it
    /// has a uid and a LSN but no pages, and recovery looks for it by these.
    package static func isRenamed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 16 else { return false }
        let magic = bytes.integer(at: 12, as: UInt32.self)
        return magic == renamedMagic || magic.byteSwapped == renamedMagic
    }

    private init(_ page: PageFields, kind: Kind, pageSize: Int) {
        let bytes = page.bytes
        let flags = page.word(48)
        let encrypted = bytes[24] != 0
        let legible = encrypted ? 64 : 72
        self.init(
            method: kind.method == .btree && flags & 0x02 != 0 ? .recno : kind.method,
            version: page.word(16), pageSize: pageSize, byteOrder: kind.byteOrder,
            hasChecksums: bytes[26] & 0x01 != 0 || encrypted, isEncrypted: encrypted,
            lastPage: PageNumber(page.word(32)),
            fileID: Hex.encode(UnsafeRawBufferPointer(rebasing: bytes[52..<legible])),
            lsn: LSN(file: page.word(0), offset: page.word(4)), flags: flags,
            holdsSeveralDatabases: kind.method == .btree && flags & 0x20 != 0,
            partitions: page.word(36),
            queue: kind.method == .queue && !encrypted
                ? QueueLayout(
                    recordLength: page.word(80), recordsPerPage: page.word(88), pagesPerExtent: page.word(92))
                : nil)
    }

    /// What a magic number tells. The versions are those between `DB_*OLDVER` and `DB_*VERSION`
    /// (`db.in:1303`).
    private struct Kind {
        var method: AccessMethod
        var byteOrder: ByteOrder
        var versions: ClosedRange<UInt32>
        var metaType: UInt8

        init?(_ bytes: UnsafeRawBufferPointer) {
            guard bytes.count >= 16 else { return nil }
            let magic = bytes.littleEndian(at: 12, as: UInt32.self)
            if let kind = Self.known(magic, .little) ?? Self.known(magic.byteSwapped, .big) {
                self = kind
            } else {
                return nil
            }
        }

        private init(
            _ method: AccessMethod, _ order: ByteOrder, _ versions: ClosedRange<UInt32>, _ type: UInt8
        ) {
            (self.method, self.byteOrder, self.versions, self.metaType) = (method, order, versions, type)
        }

        private static func known(_ magic: UInt32, _ order: ByteOrder) -> Kind? {
            switch magic {
            case 0x053162: Kind(.btree, order, 8...9, 9)
            case 0x061561: Kind(.hash, order, 7...9, 8)
            case 0x042253: Kind(.queue, order, 3...4, 10)
            case 0x074582: Kind(.heap, order, 1...1, 14)
            default: nil
            }
        }
    }
}

/// Words of a page whose byte order may not be this machine's.
struct PageFields {
    let bytes: UnsafeRawBufferPointer
    let swapped: Bool

    @inline(__always) func word(_ offset: Int) -> UInt32 {
        let raw = bytes.integer(at: offset, as: UInt32.self)
        return swapped ? raw.byteSwapped : raw
    }
}

extension ByteOrder {
    /// Whether integers in this order have to be swapped on the machine that runs this.
    var isSwappedHere: Bool { (self == .little) != (UInt32(1).littleEndian == 1) }
}
