import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// The repository of `Fixtures/repositories/format-1`: every kind of blob and a map of two levels in a few kilobytes.
///
/// It was written once, by the test `writesTheGoldenRepository` with `VARVE_WRITE_GOLDEN=DIRECTORY`. What is checked in
/// is never written again: it stands for what users have on their disks. This routine stays to say what is in it, and
/// makes fresh repositories of the same shape for tests that damage them.
package enum GoldenRepository {
    package static let extentSize = 512

    /// Extents by what they are made of; deterministic, so that a restore can be compared without the fixture.
    private static let random: [[UInt8]] = {
        var random = SeededRandom(seed: 20_260_101)
        return (0..<3).map { _ in random.bytes(extentSize) }
    }()
    private static let text = Array("varve keeps pages and logs; ".utf8)

    package static var textExtent: [UInt8] { (0..<extentSize).map { text[$0 % text.count] } }
    /// One range of pages differs from `random[0]`.
    package static var changedPage: [UInt8] {
        var bytes = random[0]
        bytes.replaceSubrange(128..<192, with: textExtent[..<64])
        return bytes
    }
    /// Every byte of the text with the case flipped in places: a delta over the whole extent.
    package static var changedText: [UInt8] {
        textExtent.enumerated().map { $0.offset % 97 == 0 ? $0.element ^ 0x20 : $0.element }
    }
    /// Against `changedPage`, which is itself a delta.
    package static var chained: [UInt8] {
        var bytes = changedPage
        bytes.replaceSubrange(0..<16, with: repeatElement(0x5A, count: 16))
        bytes.replaceSubrange(496..<512, with: repeatElement(0xA5, count: 16))
        return bytes
    }

    /// What a restore gives, by path.
    package static var files: [(path: String, bytes: [UInt8])] {
        let zeros = [UInt8](repeating: 0, count: extentSize)
        // 300 extents: two nodes beneath a root, the second with a hole, and a short extent at the end.
        let deep = (0..<299).flatMap { index -> [UInt8] in
            (260..<280).contains(index) ? zeros : index % 3 == 0 ? textExtent : random[index % 3]
        }
        return [
            ("DB_CONFIG", Array("set_lg_max 1048576\n".utf8)),
            ("data/deep.db", deep + Array("a short end".utf8)),
            ("data/deltas.db", random[0] + changedPage + chained + textExtent + changedText),
            ("data/zeros.db", zeros + zeros),
            ("empty", []),
            ("log.0000000007", random[2] + textExtent),
        ]
    }

    package static func create(at path: String) throws(VarveError) -> Repository {
        let repository = try TestRepository.create(at: path, extentSize: UInt32(extentSize))
        let writer = try RepositoryWriter(repository)
        let blobs = GoldenBlobs(writer)
        for bytes in random { try blobs.store(bytes) }
        try blobs.store(textExtent)
        try blobs.storeDelta(changedPage, base: random[0], ranges: [128..<192], granuleShift: 6)
        try blobs.storeDelta(chained, base: changedPage, ranges: [0..<16, 496..<512])
        try blobs.storeDelta(changedText, base: textExtent, ranges: [0..<extentSize])
        let stored = try files.map { (file) throws(VarveError) in
            try manifestFile(file.path, file.bytes, blobs)
        }
        _ = try writer.commit(manifest(repository, stored))
        return repository
    }

    private static func manifestFile(
        _ path: String, _ bytes: [UInt8], _ blobs: GoldenBlobs
    ) throws(VarveError) -> Manifest.StoredFile {
        var map = ExtentMapBuilder(extentSize: UInt32(extentSize))
        for start in stride(from: 0, to: bytes.count, by: extentSize) {
            let extent = Array(bytes[start..<min(start + extentSize, bytes.count)])
            let id = extent.allSatisfy { $0 == 0 } ? ContentID.zero : try blobs.store(extent)
            try map.append(id, length: UInt64(extent.count)) { (node) throws(VarveError) in
                try blobs.store(node.encoded, .map)
            }
        }
        let root = try map.finish { (node) throws(VarveError) in try blobs.store(node.encoded, .map) }
        let kind: Manifest.StoredFile.Kind =
            path.hasSuffix(".db")
            ? .database : path.hasPrefix("log.") ? .log : path == "DB_CONFIG" ? .configuration : .other
        let log = Manifest.Log(
            number: 7, validLength: 1024, firstLSN: LSN(file: 7, offset: 28),
            lastLSN: LSN(file: 7, offset: 900),
            absoluteNames: [])
        return Manifest.StoredFile(
            path: path, kind: kind, size: UInt64(bytes.count), attributes: attributes(mode: 0o640),
            map: root?.hex,
            database: nil, log: kind == .log ? log : nil)
    }

    private static func attributes(mode: UInt32) -> Manifest.Attributes {
        let modified = Timestamp(seconds: 1_650_000_000, nanoseconds: 250_000_000)
        return Manifest.Attributes(mode: mode, user: 0, group: 0, modified: modified)
    }

    private static func manifest(_ repository: Repository, _ files: [Manifest.StoredFile]) -> Manifest {
        let home = Manifest.Environment.PlacedDirectory(original: ".", restored: ".", configured: false)
        return Manifest(
            repository: repository.id.description, sequence: 1, previous: nil, tool: "varve golden",
            host: "golden",
            started: Timestamp(seconds: 1_700_000_100), finished: Timestamp(seconds: 1_700_000_101),
            environment: Manifest.Environment(
                home: "/srv/golden", mode: .offline, envid: 12, dataDirectories: [home], logDirectory: home,
                encrypted: false, registered: false, only: nil),
            recovery: Manifest.Recovery(
                firstLog: 7, lastLog: 7, checkpoint: LSN(file: 7, offset: 500),
                checkpointLSN: LSN(file: 7, offset: 28), largestPageLSN: LSN(file: 7, offset: 700),
                endOfLog: LSN(file: 7, offset: 1024), recoverableTo: Timestamp(seconds: 1_700_000_100)),
            files: files.sorted { $0.path < $1.path },
            directories: [
                Manifest.StoredDirectory(path: ".", attributes: attributes(mode: 0o750)),
                Manifest.StoredDirectory(path: "data", attributes: attributes(mode: 0o710)),
            ],
            warnings: [
                Manifest.Warning(
                    code: "page-checksum", message: "page 3 of data/deep.db fails its checksum",
                    path: "data/deep.db",
                    page: 3, taints: true)
            ], statistics: Manifest.Statistics())
    }
}

/// Stores blobs, deltas among them, which `Archiver` does not write.
package final class GoldenBlobs {
    private let writer: RepositoryWriter
    private let encoder = BlobEncoder(level: 3)
    private let compressor = Compressor(level: 3)

    package init(_ writer: RepositoryWriter) { self.writer = writer }

    @discardableResult
    package func store(_ bytes: [UInt8], _ type: BlobType = .data) throws(VarveError) -> ContentID {
        let id = bytes.withUnsafeBytes { Hasher.id(of: $0, type) }
        var target = [UInt8](repeating: 0, count: BlobEncoder.bound(bytes.count))
        try bytes.withBytes { (bytes) throws(VarveError) in
            try target.withMutableBytes { (target) throws(VarveError) in
                let header = try encoder.encode(bytes, id: id, type: type, into: target)
                _ = try writer.append(
                    header,
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(target)[..<header.totalLength]))
            }
        }
        return id
    }

    /// `bytes` as what `ranges` of it say, and `base` elsewhere.
    @discardableResult
    package func storeDelta(
        _ bytes: [UInt8], base: [UInt8], ranges: [Range<Int>], granuleShift: UInt8 = 0
    ) throws(VarveError) -> ContentID {
        let payload = try Self.deltaPayload(
            bytes, base: base, ranges: ranges, granuleShift: granuleShift, compressor)
        let id = bytes.withUnsafeBytes { Hasher.id(of: $0, .data) }
        let baseID = base.withUnsafeBytes { Hasher.id(of: $0, .data) }
        try append(id, base: baseID, payload: payload, decodedLength: bytes.count)
        return id
    }

    /// A delta blob with a payload that need not make sense.
    package func append(_ id: ContentID, base: ContentID, payload: [UInt8], decodedLength: Int)
        throws(VarveError)
    {
        let header = Pack.BlobHeader(
            id: id, type: .data, encoding: .delta, storedLength: payload.count, decodedLength: decodedLength,
            base: base)
        _ = try (header.encoded + payload).withBytes { (bytes) throws(VarveError) in
            try writer.append(header, bytes)
        }
    }

    package static func deltaPayload(
        _ bytes: [UInt8], base: [UInt8], ranges: [Range<Int>], granuleShift: UInt8 = 0,
        _ compressor: Compressor = Compressor(level: 3)
    ) throws(VarveError) -> [UInt8] {
        let delta = DeltaPayload(baseLength: base.count, granuleShift: granuleShift, ranges: ranges)
        if ranges.isEmpty { return delta.encoded }
        let prefix = delta.prefixRanges().flatMap { base[$0] }
        let changed = ranges.flatMap { bytes[$0] }
        var frame = [UInt8](repeating: 0, count: Compressor.bound(changed.count))
        let length = try changed.withBytes { (changed) throws(VarveError) in
            try prefix.withBytes { (prefix) throws(VarveError) in
                try frame.withMutableBytes { (room) throws(VarveError) in
                    try compressor.compress(changed, prefix: prefix, into: room)
                }
            }
        }
        return delta.encoded + frame.prefix(length ?? 0)
    }
}
