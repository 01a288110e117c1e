import VarveFormat

/// A page that is not what its place in the file asks for.
package struct BadPage: Sendable, Hashable {
    package enum Reason: Sendable, Hashable {
        /// The page carries another page's number: the copy is shifted, or the page is not one.
        case wrongNumber(PageNumber)
        /// The page's checksum is not that of its bytes: torn or damaged.
        case checksum
        /// The file ends inside the page.
        case incomplete
    }

    /// The page's position in its file, the number of the file's pages before it.
    package var position: PageNumber
    package var reason: Reason
}

/// What the pages of a file have told so far; `PageChecker.check` adds to it.
package struct PageRunResult: Sendable, Hashable {
    /// Of the bad pages only so many are listed; `badPageCount` has all.
    package static let badPageLimit = 100

    /// The largest LSN on a page that is not bad, `.zero` if none was logged: the logs must reach this far.
    /// A page that was written without logging carries (0,1), which does not count.
    package internal(set) var largestLSN = LSN.zero
    package internal(set) var pageCount: UInt64 = 0
    package internal(set) var badPageCount: UInt64 = 0
    package internal(set) var badPages: [BadPage] = []
    /// Holes: every byte is zero.
    package internal(set) var zeroPages: UInt64 = 0
    /// Not all zero, but without content: on the free list, or allocated and not yet written by the access
    /// method.
    package internal(set) var freePages: UInt64 = 0
    /// With at least one item, or of a queue, whose pages do not say; meta pages are none of them.
    package internal(set) var filledPages: UInt64 = 0
    /// The number of the page at position 0 of a queue's extent file, once a page has told it.
    var extentBase: UInt32?

    package init() {}

    mutating func add(_ position: UInt32, _ reason: BadPage.Reason) {
        badPageCount &+= 1
        if badPages.count < Self.badPageLimit {
            badPages.append(BadPage(position: PageNumber(position), reason: reason))
        }
    }
}

/// Checks runs of pages of one database file against their positions and checksums, without a key and without
/// libdb. A value without state: the findings are in the result that it adds to.
package struct PageChecker: Sendable, Hashable {
    /// Whether the pages' checksums are checked.
    package enum Checksums: String, Sendable, Hashable {
        /// The file has none, so a torn page can't be told from its bytes.
        case none
        case verified
        /// The file is encrypted: its checksums are HMACs that need the key.
        case unverifiable
    }

    package let checksums: Checksums
    package let pageSize: Int
    let swapped: Bool
    let numbering: Numbering

    /// What number the page at a position has.
    enum Numbering: Hashable {
        case fromBase(UInt32)
        /// An extent of an encrypted queue: how many pages an extent has is ciphertext.
        case learned(extent: UInt32)
    }

    /// - Parameter queueExtent: the number at the end of the name of a queue's extent file. Its pages carry
    ///   the numbers that they would have in one single file (`__qam_fprobe`, `qam_files.c`: page p of the
    ///   queue is at (p - 1) % pages-per-extent of extent (p - 1) / pages-per-extent). `header` is the main
    ///   file's. Of an encrypted queue the pages per extent are unknown, so the first page that has a number
    ///   sets the others': a shift of a whole extent may then go unseen.
    package init(header: DatabaseHeader, queueExtent: UInt32? = nil) {
        checksums = header.isEncrypted ? .unverifiable : header.hasChecksums ? .verified : .none
        pageSize = header.pageSize
        swapped = header.byteOrder.isSwappedHere
        if let extent = queueExtent {
            if let perExtent = header.queue?.pagesPerExtent {
                numbering = .fromBase(1 &+ extent &* perExtent)
            } else {
                numbering = .learned(extent: extent)
            }
        } else {
            numbering = .fromBase(0)
        }
    }

    /// Checks the pages of `run`, the first of which is at position `firstPage` of the file.
    ///
    /// A last page that is not complete is a bad page. Bounded work and memory whatever the bytes are.
    package func check(run: UnsafeRawBufferPointer, firstPage: PageNumber, into result: inout PageRunResult) {
        var position = firstPage.rawValue
        var offset = 0
        while offset &+ pageSize <= run.count {
            let page = UnsafeRawBufferPointer(rebasing: run[offset..<offset &+ pageSize])
            checkPage(page, position: position, into: &result)
            position &+= 1
            offset &+= pageSize
        }
        result.pageCount &+= UInt64(offset / pageSize)
        if offset < run.count { result.add(position, .incomplete) }
    }

    /// By the number of items, which also pages of encrypted files have in the clear (`PAGE`, `db_page.h`).
    @inline(__always)
    private func isFilled(_ bytes: UnsafeRawBufferPointer, type: UInt8) -> Bool {
        switch type {
        case 0, 8, 9, 10, 14: false
        case 11: true
        default: bytes[20] | bytes[21] != 0
        }
    }

    @inline(__always)
    private func checkPage(
        _ bytes: UnsafeRawBufferPointer, position: UInt32, into result: inout PageRunResult
    ) {
        let page = PageFields(bytes: bytes, swapped: swapped)
        let number = page.word(8)
        let lsn = LSN(file: page.word(0), offset: page.word(4))
        let type = bytes[25]
        if type == 0 && number == 0 && lsn == .zero {
            // What libdb takes for a hole whatever else is in it: nothing there was checksummed
            // (`__db_pgin`, `db_conv.c:114`).
            if isZero(bytes) { result.zeroPages &+= 1 } else { result.freePages &+= 1 }
            return
        }
        // Free pages may have lost their number; so may hash pages that nobody has written to, recovery
        // leaves them so: reading one, libdb makes it anew (`__ham_pgin`, `hash_conv.c:41`; 2 is the type's
        // old form).
        let blank = number == 0 && (type == 0 || type == 13 || type == 2)
        if !blank && !isExpected(number, at: position, &result) {
            result.add(position, .wrongNumber(PageNumber(number)))
            return
        }
        if checksums == .verified && !hasRightChecksum(page, type: type) {
            result.add(position, .checksum)
            return
        }
        if type == 0 || blank { result.freePages &+= 1 }
        if isFilled(bytes, type: type) { result.filledPages &+= 1 }
        // File 0 stands for "not logged" (`LSN_NOT_LOGGED` is (0,1), `db_int.in:1039`), the largest number
        // for "no limit": neither is the place of a record.
        if lsn > result.largestLSN && lsn.file != 0 && lsn.file != .max { result.largestLSN = lsn }
    }

    @inline(__always)
    private func isExpected(_ number: UInt32, at position: UInt32, _ result: inout PageRunResult) -> Bool {
        switch numbering {
        case .fromBase(let base):
            return number == base &+ position
        case .learned(let extent):
            if let base = result.extentBase { return number == base &+ position }
            let base = number &- position
            // 1 + extent * pages-per-extent, for some number of pages beyond this position.
            let before = base &- 1
            guard extent == 0 ? before == 0 : before % extent == 0 && before / extent > position else {
                return false
            }
            result.extentBase = base
            return true
        }
    }
}

/// Meta pages, also those of databases inside a file, have the checksum of their first 512 bytes at 492; all
/// others have the one of the whole page at 28 (`__db_pgin`, `db_conv.c:87`; `struct _btmeta33` and
/// `struct __pg_chksum`, `db_page.h`).
@inline(__always)
private func hasRightChecksum(_ page: PageFields, type: UInt8) -> Bool {
    switch type {
    case 8, 9, 10, 14:
        let meta = UnsafeRawBufferPointer(rebasing: page.bytes[..<DatabaseHeader.byteCount])
        return checksum(meta, withZerosAt: 492) == page.word(492)
    default:
        return checksum(page.bytes, withZerosAt: 28) == page.word(28)
    }
}
