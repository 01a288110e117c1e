import Testing
import VarveFormat
import VarveHelperProtocol

/// Callbacks as `__memp_backup_mpf` makes them, of a file that grows while it is read.
@Suite struct ShiftedPageRuleTests {
    private static let pageSize = 512
    private static let pagesPerBuffer = 16

    /// `__memp_backup_mpf` to the letter, over a file that has `pages(n)` pages at the n-th read.
    private func callbacks(
        from first: Int = 0, to last: Int, heap: Bool = false, pages: (Int) -> Int
    ) -> [(bytes: [UInt8], offset: UInt64)] {
        var result: [(bytes: [UInt8], offset: UInt64)] = []
        var page = first
        var offset = UInt64(first * Self.pageSize)
        while page <= last {
            let wanted = min(Self.pagesPerBuffer, last - page + 1)
            let count = min(wanted, pages(result.count) - page)
            if count <= 0 { break }
            result.append(((page..<page + count).flatMap { Self.page($0, heap: heap) }, offset))
            offset += UInt64(count * Self.pageSize)
            page += count < wanted ? count + 1 : wanted
        }
        return result
    }

    private static func page(_ number: Int, heap: Bool) -> [UInt8] {
        var page = [UInt8](repeating: 0, count: pageSize)
        func put(_ value: UInt32, at offset: Int) {
            for byte in 0..<4 { page[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt32(8 * byte)) }
        }
        put(UInt32(number), at: 8)
        if number == 0 {
            put(heap ? 0x074582 : 0x053162, at: 12)
            put(UInt32(pageSize), at: 20)
        }
        return page
    }

    /// What was accepted: the place of each page, and the number that it carries.
    private func accepted(_ callbacks: [(bytes: [UInt8], offset: UInt64)]) -> [(place: Int, number: Int)] {
        var rule = ShiftedPageRule(bufferSize: Self.pageSize * Self.pagesPerBuffer)
        return callbacks.flatMap { callback -> [(place: Int, number: Int)] in
            callback.bytes.withUnsafeBytes { bytes in
                guard rule.accepts(bytes, at: callback.offset) else { return [] }
                return stride(from: 0, to: bytes.count, by: Self.pageSize).map {
                    let number = bytes.loadUnaligned(fromByteOffset: $0 + 8, as: UInt32.self)
                    return ((Int(callback.offset) + $0) / Self.pageSize, Int(number))
                }
            }
        }
    }

    @Test func aFileThatDoesNotGrowIsTakenWhole() {
        let all = accepted(callbacks(to: 99) { _ in 47 })
        #expect(all.map(\.place) == Array(0..<47))
        #expect(all.allSatisfy { $0.place == $0.number })
    }

    /// Each shape of growth: however many callbacks come after the short one, none of them is taken.
    @Test(arguments: 1..<48)
    func nothingIsTakenAfterAShortRead(_ atFirst: Int) {
        let made = callbacks(to: 999) { $0 * Self.pagesPerBuffer < atFirst ? atFirst : 500 }
        let all = accepted(made)
        #expect(all.map(\.place) == Array(0..<(atFirst.isMultiple(of: 16) ? 500 : atFirst)))
        #expect(all.allSatisfy { $0.place == $0.number })
        // The control: libdb does name wrong places.
        if !atFirst.isMultiple(of: 16) {
            let last = made[made.count - 1]
            let number = last.bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: UInt32.self) }
            #expect(UInt64(number) * UInt64(Self.pageSize) != last.offset)
        }
    }

    /// Regions are loops of their own, with gaps between them or none; one of them shifts.
    @Test func aHeapBeginsAnewWithEachRegion() {
        let regions =
            callbacks(to: 20, heap: true) { _ in 1000 }
            + callbacks(from: 30, to: 90, heap: true) { $0 == 0 ? 40 : 1000 }
            + callbacks(from: 91, to: 110, heap: true) { _ in 1000 }
            + callbacks(from: 111, to: 130, heap: true) { _ in 1000 }
        let all = accepted(regions)
        #expect(all.map(\.place) == Array(0...20) + Array(30..<40) + Array(91...130))
        #expect(all.allSatisfy { $0.place == $0.number })
    }
}
