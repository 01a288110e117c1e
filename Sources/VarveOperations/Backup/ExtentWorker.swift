import Glibc
import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository

/// One thread's tools for turning extents into blobs.
///
/// Hashing goes by the batch, extents and the bases of deltas alike: that is where a core does several at once.
final class ExtentWorker {
    /// What became of an extent.
    struct EncodedExtent {
        var id: ContentID
        /// Nil for zeros, and for what is stored already.
        var header: Pack.BlobHeader?
        /// Of a delta: how deep its chain is with it.
        var depth = 0
    }

    /// The version of an extent that an earlier snapshot has.
    private struct Base {
        let buffer = BlobBuffer()
        /// Nil if there is none that can be used.
        var chain: BlobReader.Chain?
    }

    private let encoder: BlobEncoder
    private let reader: BlobReader
    private let index: RepositoryIndex
    private let policy: DeltaPolicy
    private var bases: [Base]
    private var whole: [UInt8]

    init(_ context: ExtentPipeline.Context) {
        encoder = BlobEncoder(level: context.level)
        reader = BlobReader(index: context.index, storage: context.storage)
        index = context.index
        policy = context.policy
        bases = (0..<ExtentPipeline.Batch.capacity).map { _ in Base() }
        whole = [UInt8](repeating: 0, count: BlobEncoder.bound(context.extentSize))
    }

    func encode(_ batch: ExtentPipeline.Batch) throws(VarveError) {
        let extents = (0..<batch.count).map { batch.extent($0) }
        var ids = Array(repeating: ContentID.zero, count: extents.count)
        let filled = extents.indices.filter { !isZero(extents[$0]) }
        var filledIDs = Array(repeating: ContentID.zero, count: filled.count)
        Hasher.ids(of: filled.map { extents[$0] }, .data, into: &filledIDs)
        for (index, id) in zip(filled, filledIDs) { ids[index] = id }

        let new = filled.filter { !index.contains(ids[$0]) }
        for index in new { bases[index].chain = nil }
        try readBases(new.filter { !index.isDamaged(ids[$0]) }, batch)
        var outcomes = ids.map { EncodedExtent(id: $0) }
        for index in new {
            outcomes[index] = try encode(
                extents[index], id: ids[index], parent: batch.parents[index], base: index,
                into: batch.room(index))
        }
        batch.outcomes = outcomes
    }

    /// Fetches what the new extents are compared with. A base that can't be read, or is not what it should be, must
    /// not end the backup that makes up for it: there the extent is stored whole, and the batch says so. One that this
    /// user may not read is not damaged, and nothing would be gained by storing it again.
    private func readBases(_ new: [Int], _ batch: ExtentPipeline.Batch) throws(VarveError) {
        var read: [Int] = []
        for index in new {
            guard let parent = batch.parents[index] else { continue }
            do {
                bases[index].chain = try reader.readUnchecked(parent, .data, into: bases[index].buffer)
                read.append(index)
            } catch let error where error.isAccess {
                throw error.unreadable("what this backup builds on")
            } catch {
                batch.damage = batch.damage ?? error
            }
        }
        var ids = Array(repeating: ContentID.zero, count: read.count)
        Hasher.ids(of: read.map { bases[$0].buffer.bytes }, .data, into: &ids)
        for (index, id) in zip(read, ids) {
            guard let parent = batch.parents[index], id != parent else { continue }
            bases[index].chain = nil
            // Finds out what is damaged, and takes it out of use.
            do { _ = try reader.read(parent, .data) } catch { batch.damage = batch.damage ?? error }
        }
    }

    private func encode(
        _ extent: UnsafeRawBufferPointer, id: ContentID, parent: ContentID?, base: Int,
        into room: UnsafeMutableRawBufferPointer
    ) throws(VarveError) -> EncodedExtent {
        guard let parent, let chain = bases[base].chain,
            let delta = try encoder.encodeDelta(
                extent, id: id, type: .data,
                base: .init(id: parent, bytes: bases[base].buffer.bytes, chain: chain), policy: policy,
                into: room)
        else {
            return EncodedExtent(id: id, header: try encoder.encode(extent, id: id, type: .data, into: room))
        }
        if Double(delta.totalLength) > policy.doubtfulShare * Double(extent.count) {
            let alternative = try whole.withMutableBytes { (room) throws(VarveError) in
                try encoder.encode(extent, id: id, type: .data, into: room)
            }
            if alternative.totalLength <= delta.totalLength {
                room.copyBytes(from: whole.prefix(alternative.totalLength))
                return EncodedExtent(id: id, header: alternative)
            }
        }
        return EncodedExtent(id: id, header: delta, depth: chain.depth + 1)
    }
}

/// Whether all bytes are zero: each equals the one before it, and the first is zero.
func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let first = bytes.first else { return true }
    return first == 0 && memcmp(bytes.baseAddress!, bytes.baseAddress! + 1, bytes.count - 1) == 0
}
