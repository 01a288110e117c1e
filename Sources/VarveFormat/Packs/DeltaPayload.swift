/// The payload of a delta blob: which ranges of the blob are new, and one zstd frame of their bytes.
///
/// ```
/// varint  length of the base, decoded
/// u8      granule: ranges count in units of 2^this bytes, 0…16
/// varint  number of ranges
///         for each range: varint gap since the end of the one before, varint length, both in granules
/// frame   the bytes of all ranges, one after another; absent if there are none
/// ```
///
/// The frame's prefix, which the decoder must have too, is the base's bytes at the same ranges, as far as the base
/// reaches. Outside the ranges the base's bytes stand unchanged. So a restore decodes only what changed, however
/// many versions lie between: the work of a chain is the sum of its changes, not its depth times the extent.
package struct DeltaPayload: Hashable, Sendable {
    package static let maximumRanges = 1 << 16
    package static let maximumGranuleShift: UInt8 = 16

    package var baseLength: Int
    package var granuleShift: UInt8
    /// In bytes: ascending, not empty, not touching; each starts at a multiple of the granule and ends at one, or at
    /// the end of the blob.
    package var ranges: [Range<Int>]
    /// Where the frame starts in the payload.
    package private(set) var frameOffset = 0
    /// Decoded bytes of the frame.
    package var changedLength: Int { ranges.reduce(0) { $0 + $1.count } }

    package init(baseLength: Int, granuleShift: UInt8, ranges: [Range<Int>]) {
        self.baseLength = baseLength
        self.granuleShift = granuleShift
        self.ranges = ranges
        frameOffset = encoded.count
    }

    /// What goes in front of the frame.
    package var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 16 + ranges.count * 4)
        writer.varint(UInt32(baseLength))
        writer.integer(granuleShift)
        writer.varint(UInt32(ranges.count))
        var end = 0
        for range in ranges {
            let start = range.lowerBound >> Int(granuleShift)
            let length = (range.count + (1 << Int(granuleShift)) - 1) >> Int(granuleShift)
            writer.varint(UInt32(start - end))
            writer.varint(UInt32(length))
            end = start + length
        }
        return writer.bytes
    }

    package init(prefixOf payload: UnsafeRawBufferPointer, decodedLength: Int) throws(VarveError) {
        var reader = ByteReader(payload, what: "the delta")
        baseLength = Int(try reader.varint())
        granuleShift = try reader.integer()
        let count = Int(try reader.varint())
        guard baseLength <= Pack.maximumBlobLength, granuleShift <= Self.maximumGranuleShift,
            count <= Self.maximumRanges, count <= reader.remaining / 2
        else { throw VarveError(.corrupt, "the delta has impossible lengths") }
        ranges = []
        ranges.reserveCapacity(count)
        var end = 0
        for index in 0..<count {
            let (gap, length) = (Int(try reader.varint()), Int(try reader.varint()))
            let start = end + gap << Int(granuleShift)
            guard length > 0, gap > 0 || index == 0, start < decodedLength else {
                throw VarveError(.corrupt, "the delta's ranges are not ascending, or reach beyond the blob")
            }
            try checkGap(end..<start)
            let stop = start + length << Int(granuleShift)
            guard stop - decodedLength < 1 << Int(granuleShift) else {
                throw VarveError(.corrupt, "the delta's ranges reach beyond the blob")
            }
            ranges.append(start..<min(stop, decodedLength))
            end = stop
        }
        try checkGap(min(end, decodedLength)..<decodedLength)
        frameOffset = reader.offset
    }

    /// What no range covers must come from the base.
    private func checkGap(_ gap: Range<Int>) throws(VarveError) {
        guard gap.isEmpty || gap.upperBound <= baseLength else {
            throw VarveError(.corrupt, "the delta takes bytes from beyond the end of its base")
        }
    }

    /// The base's part of each range, which is what the frame's prefix is made of.
    package func prefixRanges() -> [Range<Int>] { ranges.map { $0.clamped(to: 0..<baseLength) } }
}
