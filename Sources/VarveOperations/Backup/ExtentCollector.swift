import VarveBlobs
import VarveCapture
import VarveChunking
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository

/// Runs on the pipeline's collecting thread: appends blobs in order and builds the maps.
final class ExtentCollector: @unchecked Sendable {
    // Sendable: touched by the collecting thread only, and read after the pipeline was drained.
    private let writer: RepositoryWriter
    private let encoder: BlobEncoder
    private var buffer: [UInt8]
    private var map: ExtentMapBuilder
    private let extentSize: UInt32
    private(set) var files: [Manifest.StoredFile] = []
    private(set) var statistics = Manifest.Statistics()
    /// Of the file that is being collected.
    private var tally = Manifest.Tally()
    private var damageOfFile: (snapshot: SnapshotReference, error: VarveError)?
    /// The first file whose parent could not be read in all places, and why.
    private(set) var damage: (path: String, snapshot: SnapshotReference, error: VarveError)?

    init(writer: RepositoryWriter, level: Int32) {
        self.writer = writer
        encoder = BlobEncoder(level: level)
        buffer = [UInt8](repeating: 0, count: BlobEncoder.bound(ExtentMapNode.maximumLength))
        extentSize = writer.repository.description.parameters.extentSize
        map = ExtentMapBuilder(extentSize: extentSize)
    }

    func collect(_ batch: ExtentPipeline.Batch) throws(VarveError) {
        if let snapshot = batch.parentSnapshot, let error = batch.damage, damageOfFile == nil {
            damageOfFile = (snapshot, error)
        }
        for (index, result) in batch.outcomes.enumerated() {
            let length = UInt64(batch.extent(index).count)
            if let header = result.header, try writer.append(header, batch.blob(index, header)) {
                let stored = UInt64(header.totalLength)
                if header.encoding == .delta {
                    tally.deltas.add(bytes: length, stored: stored)
                    statistics.deepestChain = max(statistics.deepestChain, UInt64(result.depth))
                } else {
                    tally.whole.add(bytes: length, stored: stored)
                }
            } else if result.id == .zero {
                tally.zeros.add(bytes: length)
            } else if batch.parents[index] == result.id {
                tally.unchanged.add(bytes: length)
            } else {
                tally.deduplicated.add(bytes: length)
            }
            try map.append(result.id, length: length) { (node) throws(VarveError) in try store(node) }
        }
    }

    func endFile(_ source: SourceFile, _ facts: SourceFileFacts) throws(VarveError) {
        let root = try map.finish { (node) throws(VarveError) in try store(node) }
        map = ExtentMapBuilder(extentSize: extentSize)
        if let (snapshot, error) = damageOfFile, damage == nil { damage = (source.path, snapshot, error) }
        damageOfFile = nil
        files.append(
            Manifest.StoredFile(
                path: source.path, kind: source.kind, size: facts.size, attributes: source.attributes,
                map: root?.hex, database: facts.database, log: facts.log, tally: tally,
                identity: facts.identity, reading: facts.reading?.rawValue))
        statistics.add(tally)
        tally = Manifest.Tally()
    }

    private func store(_ node: ExtentMapNode) throws(VarveError) -> ContentID {
        let bytes = node.encoded
        let id = bytes.withUnsafeBytes { Hasher.id(of: $0, .map) }
        if writer.contains(id) { return id }
        try bytes.withBytes { (bytes) throws(VarveError) in
            try buffer.withMutableBytes { (buffer) throws(VarveError) in
                let header = try encoder.encode(bytes, id: id, type: .map, into: buffer)
                let blob = UnsafeRawBufferPointer(
                    rebasing: UnsafeRawBufferPointer(buffer)[..<header.totalLength])
                if try writer.append(header, blob) {
                    tally.maps.add(bytes: UInt64(bytes.count), stored: UInt64(header.totalLength))
                }
            }
        }
        return id
    }
}

extension Manifest.Statistics {
    fileprivate mutating func add(_ tally: Manifest.Tally) {
        let read = tally.zeros + tally.unchanged + tally.deduplicated + tally.new
        sourceBytes += read.bytes
        extents += read.count
        newExtents += tally.new.count
        newBytes += tally.new.bytes
        storedBytes += tally.added.stored
        metadataBytes += tally.maps.stored
        deltaExtents += tally.deltas.count
        deltaBytes += tally.deltas.stored
    }
}
