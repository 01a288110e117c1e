/// Where two versions of an extent differ, in granules.
package enum ChangedRanges {
    /// Ranges of `new`, ascending and not touching, outside of which it equals `old`.
    ///
    /// A record updated in place changes some ten bytes of its page and eight of the page's header: small granules
    /// keep what a restore must decode small, large ones keep the list short.
    ///
    /// - Parameters:
    ///   - granuleShift: ranges begin and end at multiples of 2^this bytes (or at the end of `new`).
    ///   - mergeGap: ranges with at most this many equal granules between them become one.
    package static func find(
        old: UnsafeRawBufferPointer, new: UnsafeRawBufferPointer, granuleShift: Int, mergeGap: Int
    ) -> [Range<Int>] {
        let granule = 1 << granuleShift
        let common = min(old.count, new.count)
        var ranges: [Range<Int>] = []
        func note(_ range: Range<Int>) {
            if let last = ranges.last, range.lowerBound - last.upperBound <= mergeGap << granuleShift {
                ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            } else {
                ranges.append(range)
            }
        }
        var offset = 0
        while offset + granule <= common {
            if differ(old, new, offset, granule) { note(offset..<offset + granule) }
            offset += granule
        }
        // The last granule, where one side ends within it, and whatever is new behind the old end.
        if offset < new.count {
            let isEqual = new.count == common && old[offset..<common].elementsEqual(new[offset..<common])
            if !isEqual { note(offset..<new.count) }
        }
        return ranges
    }

    /// - Precondition: `count` is a multiple of 16.
    @inline(__always)
    private static func differ(
        _ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer, _ offset: Int, _ count: Int
    ) -> Bool {
        var difference: UInt64 = 0
        var at = offset
        while at < offset &+ count {
            difference |=
                a.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                ^ b.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            difference |=
                a.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self)
                ^ b.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self)
            at = at &+ 16
        }
        return difference != 0
    }
}
