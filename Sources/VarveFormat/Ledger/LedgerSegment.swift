/// Rows of a copy's ledger, as one run adds them: `header | rows | devices` (`Documentation/internals/format.md`).
///
/// A ledger is a record and not a truth: whatever of it is damaged costs the rows that lie there, and no more. So each
/// row has a checksum of its own, into which the copy's identity goes: a row of another copy is a damaged one.
package struct LedgerSegment: Sendable {
    package static let magic = Array("VARVELDG".utf8)
    package static let version: UInt16 = 1
    package static let headerLength = 64
    package static let rowLength = 96
    /// Of a stored segment: ten million rows.
    package static let maximumLength = 1 << 30
    /// Bytes of a device's text; a longer one is cut off.
    package static let maximumDeviceLength = 1024
    private static let noDevice = UInt16.max

    package var rows: [LedgerRow]
    /// What can't be read of it, for a message; nil for a segment that is as it was written.
    package var damage: String?

    /// In the order given; the same rows are always the same bytes.
    package static func encode(_ rows: [LedgerRow], repository: RepositoryID, copy: RepositoryID) -> [UInt8] {
        var devices: [String] = []
        var numbers: [String: UInt16] = [:]
        func number(_ device: String?) -> UInt16 {
            guard let device else { return noDevice }
            if let number = numbers[device] { return number }
            guard devices.count < Int(noDevice) else { return noDevice }
            numbers[device] = UInt16(devices.count)
            devices.append(device)
            return UInt16(devices.count - 1)
        }
        var body = ByteWriter(capacity: rows.count * rowLength)
        for row in rows { encode(row, device: number(row.device), copy: copy, into: &body) }
        var writer = ByteWriter(capacity: headerLength + body.bytes.count + 256)
        writer.raw(magic)
        writer.integer(version)
        writer.zeros(2)
        writer.raw(repository.bytes)
        writer.raw(copy.bytes)
        writer.integer(UInt32(rows.count))
        writer.integer(UInt32(devices.count))
        writer.zeros(8)
        writer.integer(writer.bytes.withUnsafeBytes { CRC32C.of($0) })
        writer.raw(body.bytes)
        var table = ByteWriter()
        for device in devices {
            var text = device
            while text.utf8.count > maximumDeviceLength { text.removeLast() }
            table.integer(UInt16(text.utf8.count))
            table.raw(text.utf8)
        }
        writer.raw(table.bytes)
        writer.integer(table.bytes.withUnsafeBytes { CRC32C.of($0) })
        return writer.bytes
    }

    private static func encode(
        _ row: LedgerRow, device: UInt16, copy: RepositoryID, into body: inout ByteWriter
    ) {
        var writer = ByteWriter(capacity: rowLength + RepositoryID.byteCount)
        writer.raw(copy.bytes)
        writer.integer(row.kind.rawValue)
        writer.integer(row.method.rawValue)
        writer.integer(row.result.rawValue)
        writer.zeros(1)
        writer.integer(device)
        writer.zeros(2)
        writer.timestamp(row.time)
        writer.timestamp(row.round ?? Timestamp(seconds: 0))
        writer.id(row.hash)
        writer.integer(row.size)
        writer.integer(row.bad?.lowerBound ?? 0)
        writer.integer(row.bad.map { $0.upperBound - $0.lowerBound } ?? 0)
        writer.zeros(4)
        let checksum = writer.bytes.withUnsafeBytes { CRC32C.of($0) }
        body.raw(writer.bytes.dropFirst(RepositoryID.byteCount))
        body.integer(checksum)
    }

    /// Takes out of `bytes` what can be read. Nothing is allocated that the bytes do not pay for.
    ///
    /// - Throws: `.unsupported` for another version, `.corrupt` if it is another copy's or too short for any row.
    package init(
        salvaging bytes: UnsafeRawBufferPointer, repository: RepositoryID, copy: RepositoryID
    ) throws(VarveError) {
        guard bytes.count >= Self.headerLength else {
            throw VarveError(.corrupt, "the ledger's segment ends in its header")
        }
        rows = []
        let room = (bytes.count - Self.headerLength) / Self.rowLength
        let header = try? Header(bytes)
        if let header {
            guard header.version == Self.version else {
                throw VarveError(
                    .unsupported,
                    "the ledger's segment has version \(header.version); this varve reads \(Self.version)")
            }
            guard header.repository == repository, header.copy == copy else {
                throw VarveError(.corrupt, "the ledger's segment belongs to another copy")
            }
        }
        let claimed = min(Int(header?.rows ?? UInt32.max), room)
        let devices = header.flatMap { try? Self.devices(in: bytes, header: $0) }
        var lost = header == nil ? 0 : Int(header!.rows) - claimed
        for number in 0..<claimed {
            let start = Self.headerLength + number * Self.rowLength
            let row = UnsafeRawBufferPointer(rebasing: bytes[start..<start + Self.rowLength])
            if let read = try? Self.row(row, copy: copy, devices: devices ?? []) {
                rows.append(read)
            } else if header != nil {
                lost += 1
            }
        }
        damage = Self.describe(lost: lost, of: header?.rows, hasDevices: devices != nil)
        // Nothing but this says that what was read is all there is.
        if damage == nil, Self.encode(rows, repository: repository, copy: copy).elementsEqual(bytes) == false
        {
            damage = "it is spelled as nobody writes it"
        }
    }

    private static func describe(lost: Int, of count: UInt32?, hasDevices: Bool) -> String? {
        guard let count else { return "its header is damaged; rows that are whole were taken" }
        if lost > 0 { return "\(lost) of \(count) rows are damaged or missing" }
        return hasDevices ? nil : "which devices were read is damaged or missing"
    }

    private struct Header {
        var version: UInt16
        var repository: RepositoryID
        var copy: RepositoryID
        var rows: UInt32
        var devices: UInt32

        init(_ bytes: UnsafeRawBufferPointer) throws(VarveError) {
            var reader = ByteReader(bytes, what: "the ledger's segment")
            try reader.expect(LedgerSegment.magic)
            version = try reader.integer()
            try reader.skip(2)
            repository = RepositoryID(try reader.take(RepositoryID.byteCount))
            copy = RepositoryID(try reader.take(RepositoryID.byteCount))
            rows = try reader.integer()
            devices = try reader.integer()
            try reader.skip(8)
            let checksum: UInt32 = try reader.integer()
            guard CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[..<60])) == checksum else {
                throw VarveError(.corrupt, "the ledger's segment has a damaged header")
            }
        }
    }

    private static func devices(in bytes: UnsafeRawBufferPointer, header: Header) throws(VarveError)
        -> [String]
    {
        var reader = ByteReader(bytes, what: "the ledger's devices")
        try reader.skip(headerLength)
        try reader.skip(Int(header.rows) * rowLength)
        let start = reader.offset
        guard reader.remaining >= 4, Int(header.devices) <= (reader.remaining - 4) / 2 else {
            throw VarveError(.corrupt, "the ledger's devices have impossible lengths")
        }
        var devices: [String] = []
        for _ in 0..<header.devices {
            let length: UInt16 = try reader.integer()
            devices.append(String(decoding: try reader.take(Int(length)), as: UTF8.self))
        }
        let table = UnsafeRawBufferPointer(rebasing: bytes[start..<reader.offset])
        guard try reader.integer() == CRC32C.of(table) else {
            throw VarveError(.corrupt, "the ledger's devices have a wrong checksum")
        }
        try reader.expectEnd()
        return devices
    }

    private static func row(
        _ bytes: UnsafeRawBufferPointer, copy: RepositoryID, devices: [String]
    ) throws(VarveError) -> LedgerRow {
        var reader = ByteReader(bytes, what: "a row of the ledger")
        let damaged = VarveError(.corrupt, "a row of the ledger is damaged")
        let checksum = bytes.littleEndian(at: rowLength - 4, as: UInt32.self)
        guard CRC32C.of(Array(copy.bytes) + bytes.dropLast(4)) == checksum,
            let kind = LedgerRow.Kind(rawValue: try reader.integer()),
            let method = LedgerRow.Method(rawValue: try reader.integer()),
            let result = LedgerRow.Verdict(rawValue: try reader.integer())
        else { throw damaged }
        try reader.expectZero(1)
        let device: UInt16 = try reader.integer()
        try reader.expectZero(2)
        let time = try reader.timestamp()
        let round = try reader.timestamp()
        let hash = try reader.id()
        let size: UInt64 = try reader.integer()
        let start: UInt64 = try reader.integer()
        let length: UInt64 = try reader.integer()
        try reader.expectZero(4)
        let (end, isTooLong) = start.addingReportingOverflow(length)
        guard !isTooLong else { throw damaged }
        return LedgerRow(
            kind: kind, hash: hash, method: method, result: result, time: time,
            round: round == Timestamp(seconds: 0) ? nil : round, size: size,
            bad: length == 0 ? nil : start..<end,
            device: Int(device) < devices.count ? devices[Int(device)] : nil)
    }
}

extension CRC32C {
    fileprivate static func of(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { of($0) } }
}
