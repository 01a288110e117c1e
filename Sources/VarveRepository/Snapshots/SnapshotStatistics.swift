import VarveBlobs
import VarveFiles
import VarveFormat
import VarveStorage

/// Where the bytes of a snapshot are, what its backup added, and what a restore of it takes.
package struct SnapshotStatistics: Codable, Hashable, Sendable {
    /// Blobs in packs. One that several places share counts once, where it comes first.
    package struct Stored: Codable, Hashable, Sendable {
        /// Data that stands alone, deltas (those that extents of the snapshot are, and those beneath them), nodes of
        /// extent maps: `bytes` are decoded, of a delta the extent's, `stored` with the blob's header.
        package var whole = Manifest.Tally.Part()
        package var deltas = Manifest.Tally.Part()
        package var maps = Manifest.Tally.Part()
        /// The headers, which `stored` has too, and what repeats them at the ends of the packs.
        package var headerBytes: UInt64 = 0
        package var directoryBytes: UInt64 = 0
        package var indexBytes: UInt64 = 0

        package var all: Manifest.Tally.Part { whole + deltas + maps }
    }

    /// What comes out of blobs, and what it takes. Extents of zeros cost nothing.
    package struct Restore: Codable, Hashable, Sendable {
        package var bytes: UInt64 = 0
        /// Counted over whole chains: what `bytes` has to be divided by for the work of a restore.
        package var decodedBytes: UInt64 = 0
        /// How many extents need as many deltas as the position in the list says: first those that need none.
        package var extentsByDepth: [UInt64] = []
    }

    package struct FileStatistics: Codable, Hashable, Sendable {
        package var path: String
        package var kind: Manifest.StoredFile.Kind
        package var size: UInt64
        /// Nil if the manifest is from before it was recorded.
        package var tally: Manifest.Tally?
        /// As `Manifest.StoredFile.reading`.
        package var reading: String?
        package var stored = Stored()
        package var restore = Restore()
    }

    /// Objects of the whole repository.
    package struct Objects: Codable, Hashable, Sendable {
        package var count = 0
        package var bytes: UInt64 = 0
    }

    package var snapshot: String
    package var files: [FileStatistics] = []
    /// Of all files; nil as soon as one has none.
    package var tally: Manifest.Tally?
    package var stored = Stored()
    package var restore = Restore()
    package var manifestBytes: UInt64
    package var packs: Objects
    package var indexes: Objects
    package var filters: Objects
    package var manifests: Objects
    package var summaries: Objects
}

extension SnapshotStatistics.Stored {
    static func + (a: Self, b: Self) -> Self {
        var sum = Self(whole: a.whole + b.whole, deltas: a.deltas + b.deltas, maps: a.maps + b.maps)
        sum.headerBytes = a.headerBytes + b.headerBytes
        sum.directoryBytes = a.directoryBytes + b.directoryBytes
        sum.indexBytes = a.indexBytes + b.indexBytes
        return sum
    }

    mutating func add(_ header: Pack.BlobHeader) {
        let (bytes, stored) = (UInt64(header.decodedLength), UInt64(header.totalLength))
        switch (header.type, header.encoding) {
        case (.map, _): maps.add(bytes: bytes, stored: stored)
        case (_, .delta): deltas.add(bytes: bytes, stored: stored)
        default: whole.add(bytes: bytes, stored: stored)
        }
        headerBytes += UInt64(header.length)
        directoryBytes += UInt64(PackDirectory.entryLength(header))
        indexBytes += UInt64(IndexTable.entryLength)
    }
}

extension SnapshotStatistics.Restore {
    static func + (a: Self, b: Self) -> Self {
        var sum = Self(bytes: a.bytes + b.bytes, decodedBytes: a.decodedBytes + b.decodedBytes)
        for depth in 0..<max(a.extentsByDepth.count, b.extentsByDepth.count) {
            let counts = [a, b].map { depth < $0.extentsByDepth.count ? $0.extentsByDepth[depth] : 0 }
            sum.extentsByDepth.append(counts[0] + counts[1])
        }
        return sum
    }

    mutating func add(bytes: Int, _ chain: BlobReader.Chain) {
        self.bytes += UInt64(bytes)
        decodedBytes += UInt64(chain.work)
        while extentsByDepth.count <= chain.depth { extentsByDepth.append(0) }
        extentsByDepth[chain.depth] += 1
    }

    /// Bytes decoded for each byte restored; nil where nothing is.
    package var work: Double? { bytes == 0 ? nil : Double(decodedBytes) / Double(bytes) }

    /// Of the extents' chains; nil where there are none.
    package var meanDepth: Double? {
        let extents = extentsByDepth.reduce(0, +)
        let deltas = extentsByDepth.enumerated().reduce(0) { $0 + UInt64($1.offset) * $1.element }
        return extents == 0 ? nil : Double(deltas) / Double(extents)
    }

    package var deepest: Int? { extentsByDepth.isEmpty ? nil : extentsByDepth.count - 1 }
    package var shallowest: Int? { extentsByDepth.firstIndex { $0 > 0 } }
}

extension Repository {
    /// Reads extent maps, blob headers and the lists of ranges of deltas, and decodes no data: it takes some reads of
    /// 1 KiB for each extent and delta, and 16 bytes of memory for each blob.
    ///
    /// - Throws: `.missing` or `.corrupt` where the snapshot can't be followed.
    package func statistics(of reference: SnapshotReference) throws(VarveError) -> SnapshotStatistics {
        let manifest = try manifests.read(reference)
        let object = ObjectName(.manifest, reference.name)
        var result = SnapshotStatistics(
            snapshot: reference.description, manifestBytes: try storage.size(of: object) ?? 0,
            packs: try objects(.pack), indexes: try objects(.index), filters: try objects(.filter),
            manifests: try objects(.manifest), summaries: try objects(.summary))
        var survey = BlobSurvey(reader: BlobReader(index: try openIndex(), storage: storage))
        result.tally = Manifest.Tally()
        for file in manifest.files {
            let statistics = try survey.file(file)
            result.tally = result.tally.flatMap { sum in file.tally.map { sum + $0 } }
            result.stored = result.stored + statistics.stored
            result.restore = result.restore + statistics.restore
            result.files.append(statistics)
        }
        return result
    }

    private func objects(_ kind: ObjectKind) throws(VarveError) -> SnapshotStatistics.Objects {
        var objects = SnapshotStatistics.Objects()
        for name in try storage.list(kind) {
            // A table that a backup has merged into another meanwhile is gone.
            guard let size = try storage.size(of: ObjectName(kind, name)) else { continue }
            objects.count += 1
            objects.bytes += size
        }
        return objects
    }
}

/// Counts each blob once.
private struct BlobSurvey {
    let reader: BlobReader
    /// The first 8 bytes of the ids: a chance match would leave one blob out of the sums.
    private var seen: Set<UInt64> = []

    init(reader: BlobReader) { self.reader = reader }

    mutating func file(_ file: Manifest.StoredFile) throws(VarveError) -> SnapshotStatistics.FileStatistics {
        var result = SnapshotStatistics.FileStatistics(
            path: file.path, kind: file.kind, size: file.size, tally: file.tally, reading: file.reading)
        if let root = file.map.flatMap({ ContentID(hex: $0) }), root != .zero {
            _ = try survey(root, .map, into: &result.stored)
        }
        var map = try ExtentMapReader(file, reader: reader)
        var nodes: [ContentID] = []
        while let extent = try map.next(visit: { nodes.append($0) }) {
            let chain = try survey(extent.id, .data, into: &result.stored)
            result.restore.add(bytes: extent.length, chain)
            for node in nodes { _ = try survey(node, .map, into: &result.stored) }
            nodes.removeAll(keepingCapacity: true)
        }
        return result
    }

    private mutating func survey(
        _ id: ContentID, _ type: BlobType, into stored: inout SnapshotStatistics.Stored
    ) throws(VarveError) -> BlobReader.Chain {
        var headers: [Pack.BlobHeader] = []
        let chain = try reader.survey(id, type) { headers.append($0) }
        for header in headers where seen.insert(header.id.prefix.0).inserted { stored.add(header) }
        return chain
    }
}
