import Testing
import VarveChunking
import VarveFormat
import VarveTestSupport

@Suite struct ExtentCutterTests {
    private struct Write {
        var offset: Int
        var bytes: [UInt8]
    }

    /// The extents that a cutter gives; each buffer is full of 0xEE before, so that what is not filled shows.
    private func cut(_ writes: [Write], size: Int, preferred: UInt32, unit: UInt32) throws -> [[UInt8]] {
        var cutter = ExtentCutter(preferredSize: preferred, unit: unit)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: cutter.extentSize, alignment: 16)
        defer { memory.deallocate() }
        func soil() { memory.initializeMemory(as: UInt8.self, repeating: 0xEE) }
        soil()
        var extents: [[UInt8]] = []
        func full() {
            extents.append(Array(memory))
            soil()
        }
        for write in writes {
            try write.bytes.withUnsafeBytes {
                try cutter.write($0, at: UInt64(write.offset), buffer: { memory }, full: full)
            }
            #expect(cutter.position == UInt64(write.offset + write.bytes.count))
        }
        let rest = try cutter.finish(size: UInt64(size), buffer: { memory }, full: full)
        if rest > 0 { extents.append(Array(memory.prefix(rest))) }
        return extents
    }

    /// The whole file in memory, then cut.
    private func naive(_ writes: [Write], size: Int, extentSize: Int) -> [[UInt8]] {
        var file = [UInt8](repeating: 0, count: size)
        for write in writes {
            file.replaceSubrange(write.offset..<write.offset + write.bytes.count, with: write.bytes)
        }
        return stride(from: 0, to: size, by: extentSize).map { Array(file[$0..<min($0 + extentSize, size)]) }
    }

    @Test func equalsANaiveCutter() throws {
        var random = SeededRandom()
        for round in 0..<400 {
            let preferred = UInt32(1) << UInt32.random(in: 5...9, using: &random)
            let unit = UInt32(1) << UInt32.random(in: 4...10, using: &random)
            var writes: [Write] = []
            var position = 0
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                // Gaps of nothing, of a few bytes and of several extents.
                let gap = [0, 0, 7, 3000].randomElement(using: &random) ?? 0
                position += gap == 0 ? 0 : Int.random(in: 0...gap, using: &random)
                let bytes = random.bytes(Int.random(in: 0...1500, using: &random))
                writes.append(Write(offset: position, bytes: bytes))
                position += bytes.count
            }
            let size = position + (Bool.random(using: &random) ? 0 : Int.random(in: 0...2500, using: &random))
            let extents = try cut(writes, size: size, preferred: preferred, unit: unit)
            let wanted = naive(writes, size: size, extentSize: Int(max(preferred, unit)))
            // Not the extents themselves: they would fill the screen.
            let isEqual = extents == wanted
            try #require(isEqual, "round \(round), \(preferred) and \(unit), seed \(random.seed)")
        }
    }

    /// A file that ends with a full extent has no empty one behind it; an empty file has none.
    @Test(arguments: [(0, 0), (1, 1), (63, 1), (64, 1), (65, 2), (128, 2)])
    func theLastExtent(_ size: Int, _ count: Int) throws {
        let write = Write(offset: 0, bytes: [UInt8](repeating: 7, count: size))
        for writes in [[write], []] {
            let extents = try cut(writes, size: size, preferred: 64, unit: 16)
            #expect(extents.count == count && extents.reduce(0) { $0 + $1.count } == size)
        }
    }

    @Test func whatComesTwiceIsRefused() throws {
        let first = Write(offset: 10, bytes: [1, 2, 3])
        expect(.invalid) {
            try cut([first, Write(offset: 12, bytes: [4])], size: 20, preferred: 64, unit: 16)
        }
        expect(.invalid) { try cut([first], size: 12, preferred: 64, unit: 16) }
        // The control: one byte further on both are right.
        let extents = try cut([first, Write(offset: 13, bytes: [4])], size: 14, preferred: 64, unit: 16)
        #expect(extents == [[UInt8](repeating: 0, count: 10) + [1, 2, 3, 4]])
    }

    /// What takes an extent over may fail, and its error comes out.
    @Test func anErrorOfTheConsumer() throws {
        var cutter = ExtentCutter(preferredSize: 16, unit: 16)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 16)
        defer { memory.deallocate() }
        let bytes = [UInt8](repeating: 1, count: 40)
        expect(.interrupted) {
            try bytes.withUnsafeBytes {
                try cutter.write(
                    $0, at: 0, buffer: { memory },
                    full: { () throws(VarveError) in throw VarveError(.interrupted, "interrupted") })
            }
        }
    }
}
