import Testing
import VarveChunking
import VarveTestSupport

@Suite struct ChangedRangesTests {
    private func find(_ old: [UInt8], _ new: [UInt8], shift: Int, gap: Int) -> [Range<Int>] {
        old.withUnsafeBytes { old in
            new.withUnsafeBytes { ChangedRanges.find(old: old, new: $0, granuleShift: shift, mergeGap: gap) }
        }
    }

    /// Granule by granule, byte by byte: first which differ, then which of them become one range.
    private func naive(_ old: [UInt8], _ new: [UInt8], shift: Int, gap: Int) -> [Range<Int>] {
        let granule = 1 << shift
        let starts = stride(from: 0, to: new.count, by: granule)
        let changed = starts.map { start in
            let end = min(start + granule, new.count)
            return (start..<end).contains { $0 >= old.count || old[$0] != new[$0] }
        }
        var ranges: [Range<Int>] = []
        var equal = 0
        for (number, isChanged) in changed.enumerated() {
            let range = number * granule..<min((number + 1) * granule, new.count)
            if !isChanged {
                equal += 1
                continue
            }
            if let last = ranges.last, equal <= gap {
                ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            } else {
                ranges.append(range)
            }
            equal = 0
        }
        return ranges
    }

    /// `new` from `old` and the ranges, as a delta gives it back.
    private func apply(_ ranges: [Range<Int>], _ old: [UInt8], _ new: [UInt8]) -> [UInt8] {
        var bytes = Array(old.prefix(new.count)) + [UInt8](repeating: 0, count: max(0, new.count - old.count))
        for range in ranges { bytes.replaceSubrange(range, with: new[range]) }
        return bytes
    }

    @Test func equalsANaiveComparison() throws {
        var random = SeededRandom()
        for round in 0..<2000 {
            let shift = Int.random(in: 4...7, using: &random)
            let gap = Int.random(in: 0...3, using: &random)
            let old = random.bytes(Int.random(in: 0...2000, using: &random))
            var new = old
            switch Int.random(in: 0...3, using: &random) {
            case 0: new.removeLast(min(new.count, Int.random(in: 0...200, using: &random)))
            case 1: new += random.bytes(Int.random(in: 0...200, using: &random))
            default: break
            }
            for _ in 0..<Int.random(in: 0...6, using: &random) where !new.isEmpty {
                let at = Int.random(in: 0..<new.count, using: &random)
                let length = min(new.count - at, Int.random(in: 1...60, using: &random))
                new.replaceSubrange(at..<at + length, with: random.bytes(length))
            }
            let about: Comment =
                "round \(round), \(old.count) and \(new.count) bytes, 2^\(shift), gap \(gap), seed \(random.seed)"
            let ranges = find(old, new, shift: shift, gap: gap)
            try #require(ranges == naive(old, new, shift: shift, gap: gap), about)
            #expect(apply(ranges, old, new) == new, about)
        }
    }

    /// Each single byte at each place is found: the control of the comparison by words.
    @Test func noByteIsOverlooked() {
        let old = [UInt8](repeating: 0, count: 150)
        for at in old.indices {
            for bit in [0, 7] {
                var new = old
                new[at] ^= 1 << bit
                #expect(find(old, new, shift: 5, gap: 0) == [at / 32 * 32..<min(at / 32 * 32 + 32, 150)])
            }
        }
        #expect(find(old, old, shift: 5, gap: 0).isEmpty)
    }

    @Test func theGapThatIsMerged() {
        let old = [UInt8](repeating: 0, count: 160)
        var new = old
        (new[0], new[64]) = (1, 1)
        #expect(find(old, new, shift: 4, gap: 3) == [0..<80])
        #expect(find(old, new, shift: 4, gap: 2) == [0..<16, 64..<80])
    }
}
