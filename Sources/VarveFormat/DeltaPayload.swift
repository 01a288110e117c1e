/// The payload of a delta blob: which ranges of the extent are new, and a zstd frame of their bytes.
///
/// The frame holds the bytes of all ranges one after another. Its prefix, which the decoder must have too, is the
/// base's bytes at the same ranges, as far as the base reaches. Outside the ranges the base's bytes stand unchanged.
/// One range over everything is a plain delta against the whole base; ranges of changed pages let a restore decode
/// only what changed.
public struct DeltaPayload: Hashable, Sendable {
    public static let maximumRanges = 1 << 16

    public var baseLength: Int
    /// Ascending, not empty, not touching or overlapping, within the decoded length.
    public var ranges: [Range<Int>]
    /// Where the frame starts in the payload.
    public var frameOffset: Int { 8 + ranges.count * 8 }
    /// Decoded bytes of the frame.
    public var changedLength: Int { ranges.reduce(0) { $0 + $1.count } }

    public init(baseLength: Int, ranges: [Range<Int>]) {
        self.baseLength = baseLength
        self.ranges = ranges
    }

    /// What goes in front of the frame.
    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: frameOffset)
        writer.integer(UInt32(baseLength))
        writer.integer(UInt32(ranges.count))
        for range in ranges {
            writer.integer(UInt32(range.lowerBound))
            writer.integer(UInt32(range.count))
        }
        return writer.bytes
    }

    public init(prefixOf payload: UnsafeRawBufferPointer, decodedLength: Int) throws {
        var reader = ByteReader(payload, what: "the delta")
        baseLength = Int(try reader.integer(UInt32.self))
        let count = Int(try reader.integer(UInt32.self))
        guard baseLength <= Pack.maximumBlobLength, count <= Self.maximumRanges, count <= reader.remaining / 8
        else {
            throw VarveError(.corrupt, "the delta has impossible lengths")
        }
        ranges = []
        ranges.reserveCapacity(count)
        var covered = 0
        for index in 0..<count {
            let start = Int(try reader.integer(UInt32.self))
            let length = Int(try reader.integer(UInt32.self))
            guard length > 0, start > covered || (index == 0 && start == 0), start + length <= decodedLength
            else {
                throw VarveError(.corrupt, "the delta's ranges are not ascending, or reach beyond the blob")
            }
            try Self.checkGap(covered..<start, baseLength: baseLength)
            covered = start + length
            ranges.append(start..<covered)
        }
        try Self.checkGap(covered..<decodedLength, baseLength: baseLength)
    }

    /// What no range covers must come from the base.
    private static func checkGap(_ gap: Range<Int>, baseLength: Int) throws {
        guard gap.isEmpty || gap.upperBound <= baseLength else {
            throw VarveError(.corrupt, "the delta takes bytes from beyond the end of its base")
        }
    }

    /// The base's part of each range, which is what the frame's prefix is made of.
    public func prefixRanges() -> [Range<Int>] { ranges.map { $0.clamped(to: 0..<baseLength) } }
}
