import VarveChunking
import VarveCodec
import VarveFormat

/// What a writer lets a chain of deltas cost. The reasons and the figures are in `Documentation/internals/deltas.md`.
package struct DeltaPolicy: Sendable, Hashable {
    /// Ranges of changed bytes are counted in 2^this bytes.
    package var granuleShift: UInt8 = 5
    /// Equal granules that are stored again rather than begin a new range.
    package var mergeGap = 1
    /// A restore decodes at most this much for each byte that it restores.
    package var maximumWork = 2.5
    /// And reads at most this many deltas for one extent.
    package var maximumDepth = 96
    /// A delta larger than this part of its extent is compared with the whole extent compressed, and dropped
    /// unless it is smaller.
    package var doubtfulShare = 0.125

    package init() {}
}

extension BlobEncoder {
    /// A version that something is a delta against.
    package struct Base {
        package var id: ContentID
        package var bytes: UnsafeRawBufferPointer
        package var chain: BlobReader.Chain

        package init(id: ContentID, bytes: UnsafeRawBufferPointer, chain: BlobReader.Chain) {
            self.id = id
            self.bytes = bytes
            self.chain = chain
        }
    }

    /// Header and payload of a delta at the start of `target`, decoded and compared like `encode`.
    ///
    /// - Parameter target: has room for `bound(bytes.count)`.
    /// - Returns: nil if the chain would get too dear, or the delta is no smaller than half of the extent.
    package func encodeDelta(
        _ bytes: UnsafeRawBufferPointer, id: ContentID, type: BlobType, base: Base, policy: DeltaPolicy,
        into target: UnsafeMutableRawBufferPointer
    ) throws(VarveError) -> Pack.BlobHeader? {
        guard base.chain.depth < policy.maximumDepth else { return nil }
        var ranges = ChangedRanges.find(
            old: base.bytes, new: bytes, granuleShift: Int(policy.granuleShift), mergeGap: policy.mergeGap)
        var changed = ranges.reduce(0) { $0 + $1.count }
        if changed > bytes.count / 2 {
            // Bytes have moved: let zstd look for them in the whole base.
            ranges = [0..<bytes.count]
            changed = bytes.count
        }
        guard Double(base.chain.work + changed) <= policy.maximumWork * Double(bytes.count) else {
            return nil
        }
        let delta = DeltaPayload(
            baseLength: base.bytes.count, granuleShift: changed == bytes.count ? 0 : policy.granuleShift,
            ranges: ranges)
        let front = delta.encoded
        let start = Pack.BlobHeader.maximumLength + front.count
        let limit = bytes.count / 2
        guard start + limit <= target.count else { return nil }
        let room = UnsafeMutableRawBufferPointer(rebasing: target[start..<start + limit])
        guard let frame = try compressRanges(bytes, base.bytes, delta, into: room) else { return nil }
        let header = Pack.BlobHeader(
            id: id, type: type, encoding: .delta, storedLength: front.count + frame,
            decodedLength: bytes.count,
            base: base.id)
        target.copyBytes(from: header.encoded)
        UnsafeMutableRawBufferPointer(rebasing: target[Pack.BlobHeader.maximumLength...]).copyBytes(
            from: front)
        try checkDelta(header, target, against: bytes, base: base.bytes)
        return header
    }

    /// - Returns: the frame's length, 0 if nothing changed, nil if it does not fit.
    private func compressRanges(
        _ bytes: UnsafeRawBufferPointer, _ base: UnsafeRawBufferPointer, _ delta: DeltaPayload,
        into room: UnsafeMutableRawBufferPointer
    ) throws(VarveError) -> Int? {
        if delta.ranges.isEmpty { return 0 }
        changed.resize(to: 0)
        prefix.resize(to: 0)
        for range in delta.ranges { changed.append(UnsafeRawBufferPointer(rebasing: bytes[range])) }
        for range in delta.prefixRanges() { prefix.append(UnsafeRawBufferPointer(rebasing: base[range])) }
        return try compressor.compress(changed.bytes, prefix: prefix.bytes, into: room)
    }

    private func checkDelta(
        _ header: Pack.BlobHeader, _ blob: UnsafeMutableRawBufferPointer,
        against bytes: UnsafeRawBufferPointer,
        base: UnsafeRawBufferPointer
    ) throws(VarveError) {
        decoded.replace(with: base)
        let payload = UnsafeRawBufferPointer(rebasing: blob[header.length..<header.totalLength])
        try decoder.apply(header, payload: payload, to: decoded)
        try Self.requireEqual(decoded.bytes, bytes)
    }
}
