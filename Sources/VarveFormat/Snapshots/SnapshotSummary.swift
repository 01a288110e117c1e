/// What a list of snapshots tells of one of them.
package struct SnapshotSummary: Hashable, Sendable {
    package var sequence: UInt64
    /// Of the manifest's stored bytes, as its name has it: what the summary is valid for.
    package var manifest: ContentID
    package var finished: Timestamp
    /// Nil if the snapshot is not that of an environment.
    package var recoverableTo: Timestamp?
    package var host: String
    package var home: String?
    /// As the manifest calls it.
    package var source: String
    package var mode: Manifest.Environment.Mode?
    package var files: UInt64
    package var bytes: UInt64
    package var storedBytes: UInt64
    package var isTainted: Bool
    /// Holds only some of the environment's databases.
    package var isPartial: Bool

    /// - Parameter name: the hash in the manifest's name.
    package init(_ manifest: Manifest, name: ContentID) {
        sequence = manifest.sequence
        self.manifest = name
        finished = manifest.finished
        recoverableTo = manifest.recovery?.recoverableTo
        host = manifest.host
        home = manifest.environment?.home
        source = manifest.sourceName
        mode = manifest.environment?.mode
        files = UInt64(manifest.files.count)
        bytes = manifest.totalBytes
        storedBytes = manifest.statistics.storedBytes
        isTainted = manifest.tainted
        isPartial = manifest.isPartial
    }
}

/// Summaries of many snapshots in one object, so that a list of snapshots need not read each manifest.
package enum SummaryTable {
    package static let magic = Array("VARVESUM".utf8)
    package static let version: UInt16 = 2
    /// Of a stored table: 104 bytes a snapshot, and its strings once.
    package static let maximumLength = 1 << 30
    private static let noString = UInt32.max
    private static let modes: [Manifest.Environment.Mode?] = [nil, .live, .direct, .offline]
    private static let taintedFlag: UInt8 = 1
    private static let recoverableFlag: UInt8 = 2
    private static let partialFlag: UInt8 = 4

    /// In the order given; the same summaries are always the same bytes.
    package static func encode(_ summaries: [SnapshotSummary], repository: RepositoryID) -> [UInt8] {
        var strings: [String] = []
        var numbers: [String: UInt32] = [:]
        func number(_ string: String?) -> UInt32 {
            guard let string else { return noString }
            if let number = numbers[string] { return number }
            numbers[string] = UInt32(strings.count)
            strings.append(string)
            return UInt32(strings.count - 1)
        }
        var rows = ByteWriter(capacity: summaries.count * 100)
        for summary in summaries {
            rows.integer(summary.sequence)
            rows.id(summary.manifest)
            rows.timestamp(summary.finished)
            rows.timestamp(summary.recoverableTo ?? Timestamp(seconds: 0))
            rows.integer(number(summary.host))
            rows.integer(number(summary.home))
            rows.integer(number(summary.source))
            rows.integer(UInt8(modes.firstIndex(of: summary.mode) ?? 0))
            rows.integer(
                (summary.isTainted ? taintedFlag : 0)
                    | (summary.recoverableTo == nil ? 0 : recoverableFlag)
                    | (summary.isPartial ? partialFlag : 0))
            rows.zeros(2)
            rows.integer(summary.files)
            rows.integer(summary.bytes)
            rows.integer(summary.storedBytes)
        }
        var writer = ByteWriter(capacity: rows.bytes.count + 1024)
        writer.raw(magic)
        writer.integer(version)
        writer.zeros(6)
        writer.raw(repository.bytes)
        writer.integer(UInt32(summaries.count))
        writer.integer(UInt32(strings.count))
        for string in strings {
            writer.integer(UInt32(string.utf8.count))
            writer.raw(string.utf8)
        }
        writer.raw(rows.bytes)
        return writer.bytes
    }

    /// Whether this is a table of version 1, which does not tell which snapshots are partial and what their
    /// sources are called: it is as if it had no rows.
    package static func isOutdated(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var reader = ByteReader(bytes, what: "the table of summaries")
        let version: UInt16? = try? {
            try reader.expect(magic); return try reader.integer()
        }()
        return version == 1
    }

    /// - Throws: if the bytes are not what `encode` writes for this repository.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer, repository: RepositoryID
    ) throws(VarveError) -> [SnapshotSummary] {
        var reader = ByteReader(bytes, what: "the table of summaries")
        try reader.expect(magic)
        let version: UInt16 = try reader.integer()
        guard version == Self.version else {
            throw VarveError(
                .unsupported,
                "the table of summaries has version \(version); this varve reads \(Self.version)")
        }
        try reader.expectZero(6)
        guard RepositoryID(try reader.take(RepositoryID.byteCount)) == repository else {
            throw VarveError(.corrupt, "the table of summaries belongs to another repository")
        }
        let count: UInt32 = try reader.integer()
        let stringCount: UInt32 = try reader.integer()
        // What follows bounds both: four bytes a string, 104 a row.
        guard Int(stringCount) <= reader.remaining / 4, Int(count) <= reader.remaining / 104 else {
            throw VarveError(.corrupt, "the table of summaries has impossible lengths")
        }
        var strings: [String] = []
        for _ in 0..<stringCount {
            let length: UInt32 = try reader.integer()
            strings.append(String(decoding: try reader.take(Int(length)), as: UTF8.self))
        }
        var summaries: [SnapshotSummary] = []
        summaries.reserveCapacity(Int(count))
        for _ in 0..<count { summaries.append(try row(&reader, strings)) }
        try reader.expectEnd()
        guard encode(summaries, repository: repository).elementsEqual(bytes) else {
            throw VarveError(.corrupt, "the table of summaries is spelled as nobody writes it")
        }
        return summaries
    }

    private static func row(_ reader: inout ByteReader, _ strings: [String]) throws(VarveError)
        -> SnapshotSummary
    {
        let damaged = VarveError(.corrupt, "the table of summaries has an impossible row")
        func string(_ number: UInt32) throws(VarveError) -> String {
            guard number < strings.count else { throw damaged }
            return strings[Int(number)]
        }
        let sequence: UInt64 = try reader.integer()
        let manifest = try reader.id()
        let finished = try reader.timestamp()
        let recoverableTo = try reader.timestamp()
        let host = try string(try reader.integer())
        let homeNumber: UInt32 = try reader.integer()
        let home = homeNumber == noString ? nil : try string(homeNumber)
        let source = try string(try reader.integer())
        let mode: UInt8 = try reader.integer()
        let flags: UInt8 = try reader.integer()
        try reader.expectZero(2)
        guard mode < modes.count, flags <= taintedFlag | recoverableFlag | partialFlag else { throw damaged }
        return SnapshotSummary(
            sequence: sequence, manifest: manifest, finished: finished,
            recoverableTo: flags & recoverableFlag == 0 ? nil : recoverableTo, host: host,
            home: home, source: source, mode: modes[Int(mode)],
            files: try reader.integer(), bytes: try reader.integer(), storedBytes: try reader.integer(),
            isTainted: flags & taintedFlag != 0, isPartial: flags & partialFlag != 0)
    }
}

extension SnapshotSummary {
    fileprivate init(
        sequence: UInt64, manifest: ContentID, finished: Timestamp, recoverableTo: Timestamp?, host: String,
        home: String?, source: String, mode: Manifest.Environment.Mode?, files: UInt64, bytes: UInt64,
        storedBytes: UInt64,
        isTainted: Bool, isPartial: Bool
    ) {
        self.sequence = sequence
        self.manifest = manifest
        self.finished = finished
        self.recoverableTo = recoverableTo
        self.host = host
        self.home = home
        self.source = source
        self.mode = mode
        self.files = files
        self.bytes = bytes
        self.storedBytes = storedBytes
        self.isTainted = isTainted
        self.isPartial = isPartial
    }
}
