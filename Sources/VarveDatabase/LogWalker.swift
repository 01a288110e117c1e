import VarveFormat

/// Walks the records of one log file from its beginning to where the valid records end.
///
/// Each record is checked: its `prev` is the offset of the record before, and the checksum of its body XOR
/// `prev` XOR `len` is right (`__db_chksum`, `hmac.c:92`; `LOG_HDR_SUM`, `log.h:165`). Of an encrypted log
/// only the chain can be checked. Damage ends the walk, it does not throw: see `LogFileSummary.end`. Memory
/// is bounded by the buffer, a record may be larger.
package struct LogWalker {
    /// Fills the buffer from this offset of the file and returns how many bytes it got: 0 only at the end.
    package typealias Read = (_ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) throws(VarveError) ->
        Int
    package typealias Visit = (LogRecord) throws(VarveError) -> Void

    package static let defaultBufferSize = 1 << 20
    /// What names need: two of them at `PATH_MAX`, and room.
    static let minimumBufferSize = 32 << 10

    /// - Parameters:
    ///   - number: of the file, from its name; LSNs are made with it.
    ///   - size: of the file. A file that turns out shorter is taken as it is.
    ///   - visit: called for each valid record after the header, in order. What it throws ends the walk.
    /// - Throws: `.unsupported` for a log of another version or byte order, `.corrupt` for a file that does
    ///   not begin like a log or a record whose checksum is right but whose content is not, and what `read`
    ///   throws.
    package static func walk(
        number: UInt32, size: UInt64, bufferSize: Int = defaultBufferSize, read: Read, visit: Visit = { _ in }
    ) throws(VarveError) -> LogFileSummary {
        guard size <= UInt64(UInt32.max) else {
            throw VarveError(.corrupt, "log file \(number) has \(size) bytes, more than an LSN can address")
        }
        var walk = Walk(number: number, size: size, bufferSize: max(bufferSize, minimumBufferSize))
        return try walk.run(read, visit)
    }

    /// The same for a file in memory.
    package static func walk(
        number: UInt32, bytes: UnsafeRawBufferPointer, visit: Visit = { _ in }
    ) throws(VarveError) -> LogFileSummary {
        try walk(
            number: number, size: UInt64(bytes.count),
            read: { offset, buffer in
                let part = bytes[min(Int(offset), bytes.count)...].prefix(buffer.count)
                buffer.copyBytes(from: part)
                return part.count
            }, visit: visit)
    }
}

private struct Walk: ~Copyable {
    private var summary: LogFileSummary
    private var window: LogWindow

    init(number: UInt32, size: UInt64, bufferSize: Int) {
        summary = LogFileSummary(number: number, size: size)
        window = LogWindow(capacity: bufferSize, fileSize: size)
    }

    mutating func run(_ read: LogWalker.Read, _ visit: LogWalker.Visit) throws(VarveError) -> LogFileSummary {
        let head = try window.view(0, LogFileHeader.maximumByteCount, read)
        guard let header = try LogFileHeader.parse(head) else {
            try findEnd(0, read)
            return summary
        }
        summary.header = header
        summary.lastLSN = LSN(file: summary.number, offset: 0)
        var offset = UInt64(header.byteCount)
        while let record = try next(at: offset, header, read) {
            summary.recordCount &+= 1
            if summary.firstLSN == nil { summary.firstLSN = record.lsn }
            summary.lastLSN = record.lsn
            if let event = record.event { summary.add(event) }
            try visit(record)
            offset += UInt64(record.length)
        }
        summary.validLength = offset
        try findEnd(offset, read)
        return summary
    }

    /// The record at `offset` if there is a valid one.
    private mutating func next(
        at offset: UInt64, _ header: LogFileHeader, _ read: LogWalker.Read
    ) throws(VarveError) -> LogRecord? {
        let headerSize = header.recordHeaderSize
        let head = try window.view(offset, headerSize, read)
        guard head.count == headerSize else { return nil }
        let previous = head.littleEndian(at: 0, as: UInt32.self)
        let length = head.littleEndian(at: 4, as: UInt32.self)
        let sum = head.littleEndian(at: 8, as: UInt32.self)
        guard
            length > headerSize && UInt64(length) <= summary.size - offset
                && previous == summary.lastLSN?.offset
        else { return nil }

        var record = LogRecord(
            lsn: LSN(file: summary.number, offset: UInt32(offset)), length: length, transaction: 0)
        var position = offset + UInt64(headerSize)
        let end = offset + UInt64(length)
        let body = try window.view(position, min(Int(end - position), window.capacity), read)
        if header.isEncrypted { return body.isEmpty ? nil : record }
        // Parsed before the window moves on, thrown only after the checksum has vouched for the bytes.
        let parsed = Result { () throws(VarveError) in try LogRecord.parse(body, lsn: record.lsn) }
        var actual: UInt32 = 0
        var piece = body
        while position < end {
            if piece.isEmpty { return nil }
            actual = checksum(piece, seed: actual)
            position += UInt64(piece.count)
            if position < end {
                piece = try window.view(position, min(Int(end - position), window.capacity), read)
            }
        }
        guard actual ^ previous ^ length == sum else { return nil }
        if let content = try parsed.get() {
            (record.type, record.transaction) = (content.type, content.transaction)
            (record.previous, record.event) = (content.previous, content.event)
        }
        return record
    }

    /// Tells what follows the last valid record.
    private mutating func findEnd(_ offset: UInt64, _ read: LogWalker.Read) throws(VarveError) {
        var position = offset
        while position < summary.size {
            let piece = try window.view(
                position, Int(min(UInt64(window.capacity), summary.size - position)), read)
            if piece.isEmpty {
                summary.size = position
                break
            }
            if !isZero(piece) {
                summary.end = .torn(at: offset)
                summary.unfinishedEnd = try unfinishedEnd(offset, read)
                return
            }
            position += UInt64(piece.count)
        }
        summary.end = summary.size > offset ? .zeroTail : .clean
    }
}

extension Walk {
    /// Where the record at `offset`, of which perhaps only the beginning was written, would end; nil if something follows
    /// it, or what is there contradicts the record before.
    private mutating func unfinishedEnd(_ offset: UInt64, _ read: LogWalker.Read) throws(VarveError)
        -> UInt64?
    {
        let headerSize = summary.header?.recordHeaderSize ?? LogFileHeader.maximumByteCount
        let inHeader = offset + UInt64(headerSize)
        if try hasOnlyZeros(from: inHeader, read) { return inHeader }
        let head = try window.view(offset, headerSize, read)
        guard summary.header != nil, head.count == headerSize,
            head.littleEndian(at: 0, as: UInt32.self)
                == summary.lastLSN?.offset
        else { return nil }
        let end =
            offset + UInt64(head.littleEndian(at: 4, as: UInt32.self))
        guard end > inHeader, try hasOnlyZeros(from: end, read) else { return nil }
        return end
    }

    private mutating func hasOnlyZeros(from offset: UInt64, _ read: LogWalker.Read) throws(VarveError) -> Bool
    {
        var position = offset
        while position < summary.size {
            let piece = try window.view(
                position, Int(min(UInt64(window.capacity), summary.size - position)), read)
            if piece.isEmpty { break }
            if !isZero(piece) { return false }
            position += UInt64(piece.count)
        }
        return true
    }
}

extension LogRecord {
    fileprivate typealias Content = (type: UInt32, transaction: UInt32, previous: LSN, event: LogEvent?)

    /// Nil for a body without room for a type: an application may log what it likes.
    fileprivate static func parse(_ body: UnsafeRawBufferPointer, lsn: LSN) throws(VarveError) -> Content? {
        guard body.count >= commonSize else { return nil }
        let type = body.littleEndian(at: 0, as: UInt32.self)
        let transaction = body.littleEndian(at: 4, as: UInt32.self)
        let previous = LSN(
            file: body.littleEndian(at: 8, as: UInt32.self),
            offset: body.littleEndian(at: 12, as: UInt32.self))
        return (type, transaction, previous, try LogEvent(type: type, lsn: lsn, body: body))
    }
}
