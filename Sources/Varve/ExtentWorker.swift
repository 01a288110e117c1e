import VarveCodec
import VarveFormat
import VarveRepository

/// One thread's tools for turning extents into blobs.
final class ExtentWorker {
    /// What became of an extent.
    struct Outcome {
        var id: ContentID
        /// Nil for zeros, and for what is stored already.
        var header: Pack.BlobHeader?
        /// Of a delta: how deep its chain is with it.
        var depth = 0
    }

    private let encoder: BlobEncoder
    private let reader: BlobReader
    private let index: RepositoryIndex
    private let policy: DeltaPolicy
    private var base: [UInt8] = []
    private var whole: [UInt8]

    init(_ context: ExtentPipeline.Context) {
        encoder = BlobEncoder(level: context.level)
        reader = BlobReader(index: context.index, storage: context.storage)
        index = context.index
        policy = context.policy
        whole = [UInt8](repeating: 0, count: BlobEncoder.bound(context.extentSize))
    }

    /// - Parameters:
    ///   - parent: what an earlier snapshot has at the same place.
    ///   - room: for the blob, `BlobEncoder.bound` of the extent.
    func encode(
        _ extent: UnsafeRawBufferPointer, id: ContentID, parent: ContentID?,
        into room: UnsafeMutableRawBufferPointer
    ) throws -> Outcome {
        if index.find(id) != nil { return Outcome(id: id) }
        guard let parent, let delta = try encodeDelta(extent, id, parent, room) else {
            return Outcome(id: id, header: try encoder.encode(extent, id: id, type: .data, into: room))
        }
        if Double(delta.header.totalLength) > policy.doubtfulShare * Double(extent.count) {
            let alternative = try whole.withUnsafeMutableBytes {
                try encoder.encode(extent, id: id, type: .data, into: $0)
            }
            if alternative.totalLength <= delta.header.totalLength {
                room.copyBytes(from: whole.prefix(alternative.totalLength))
                return Outcome(id: id, header: alternative)
            }
        }
        return Outcome(id: id, header: delta.header, depth: delta.depth)
    }

    private func encodeDelta(
        _ extent: UnsafeRawBufferPointer, _ id: ContentID, _ parent: ContentID,
        _ room: UnsafeMutableRawBufferPointer
    ) throws -> (header: Pack.BlobHeader, depth: Int)? {
        // A base that can't be read, or is not what it should be, must not end the backup that makes up for it:
        // the extent is stored whole.
        guard let chain = try? reader.readUnchecked(parent, .data, into: &base),
            base.withUnsafeBytes({ Hasher.id(of: $0, .data) }) == parent
        else { return nil }
        let header = try base.withUnsafeBytes { bytes in
            try encoder.encodeDelta(
                extent, id: id, type: .data, base: .init(id: parent, bytes: bytes, chain: chain),
                policy: policy,
                into: room)
        }
        return header.map { ($0, chain.depth + 1) }
    }
}
