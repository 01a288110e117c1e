import VarveDatabase
import VarveFiles
import VarveFormat

/// One database file on its way to a sink: every page is checked against its place and, where there is one,
/// its checksum, and the largest LSN is kept. Damaged pages are stored as they are and reported.
struct DatabaseStream {
    let file: EnvironmentFile
    private let checker: PageChecker
    private let sink: any CaptureSink
    private var result = PageRunResult()
    private var end: UInt64 = 0

    /// Read at a time: a multiple of every page size.
    static let runLength = 1 << 20

    /// What its pages tell of the logs.
    struct Facts {
        /// `.zero` if no change of a page was logged.
        let largestLSN: LSN
        /// No page has an item either: there was no change.
        let isEmpty: Bool

        init(_ database: Manifest.Database?) {
            largestLSN = database?.largestLSN ?? .zero
            isEmpty = database?.empty == true
        }
    }

    /// Announces the file.
    ///
    /// - Precondition: the file has a header.
    init(_ file: EnvironmentFile, into sink: any CaptureSink) throws(VarveError) {
        guard let header = file.header else { preconditionFailure("a file without pages has no page stream") }
        var extent: UInt32?
        if case .queueExtent(let number, _) = file.role { extent = number }
        self.file = file
        self.sink = sink
        checker = PageChecker(header: header, queueExtent: extent)
        try sink.begin(file.source)
    }

    /// The next pages, in order, at a page's boundary.
    mutating func take(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(VarveError) {
        try deliver(bytes, at: offset, checked: checked(bytes, at: offset))
    }

    private mutating func deliver(
        _ bytes: UnsafeRawBufferPointer, at offset: UInt64, checked: PageRunResult
    ) throws(VarveError) {
        result = checked
        try sink.write(bytes, at: offset)
        end = max(end, offset + UInt64(bytes.count))
    }

    /// What is known of the file's pages with these.
    private func checked(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> PageRunResult {
        var result = result
        checker.check(run: bytes, firstPage: pageNumber(offset), into: &result)
        return result
    }

    private func pageNumber(_ offset: UInt64) -> PageNumber {
        PageNumber(UInt32(truncatingIfNeeded: offset / UInt64(checker.pageSize)))
    }

    /// Reads the whole file with plain reads of whole pages, each run anew if a page of it looks damaged: it
    /// may have been under way to the disk.
    mutating func readAll(_ source: borrowing File) throws(VarveError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.runLength, alignment: 4096)
        defer { buffer.deallocate() }
        source.adviseSequential()
        var offset: UInt64 = 0
        while true {
            var count = try source.read(into: buffer, at: offset)
            if count == 0 { break }
            var run = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])
            var checked = checked(run, at: offset)
            for _ in 0..<Self.rereads {
                if checked.badPageCount == result.badPageCount { break }
                count = try source.read(into: buffer, at: offset)
                run = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])
                checked = self.checked(run, at: offset)
            }
            try deliver(run, at: offset, checked: checked)
            offset += UInt64(count)
            if count < buffer.count { break }
        }
    }

    private static let rereads = 3

    /// Says what was learned, and ends the file at the sink.
    ///
    /// - Parameters:
    ///   - identity: of the file that was read, if it tells whether it has changed since.
    ///   - reading: why it was read.
    /// - Returns: what the logs must cover.
    consuming func finish(
        _ warnings: CaptureWarnings, identity: Manifest.StoredFile.FileIdentity? = nil,
        reading: Reading? = nil
    ) throws(VarveError) -> Facts {
        guard let header = file.header else { return Facts(nil) }
        warnings.add(result, path: file.restored)
        var uid: String?
        if case .database = file.role { uid = header.fileID }
        let pageSize = UInt64(header.pageSize)
        var facts = Manifest.Database(
            type: header.method.rawValue, pageSize: UInt32(header.pageSize),
            pages: (end + pageSize - 1) / pageSize,
            uid: uid, bigEndian: header.byteOrder == .big, checksums: header.hasChecksums,
            encrypted: header.isEncrypted, largestLSN: result.largestLSN == .zero ? nil : result.largestLSN)
        facts.empty = result.largestLSN == .zero && result.filledPages == 0 ? true : nil
        facts.place = file.place
        try sink.end(SourceFileFacts(size: end, database: facts, identity: identity, reading: reading))
        return Facts(facts)
    }
}
