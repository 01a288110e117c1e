import VarveCodec
import VarveFiles
import VarveFormat

// How fast parity is made on one core of this machine, in memory: `swift run -c release bench-parity [PERCENT...]`.
// And how fast it gives back what is lost, if every stripe has lost all that it can.

let percents = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let groupBlocks = 1 << 16

/// The best of five, in MB/s.
func rate(_ bytes: Int, _ body: () -> Void) -> Int {
    let times = (0..<5).map { _ in
        let start = Clock.monotonic()
        body()
        return Clock.monotonic() - start
    }
    return Int(Double(bytes) * 1000 / Double(times.min() ?? 1))
}

for percent in percents.isEmpty ? [5, 10, 20, 50] : percents {
    let shape = ParityShape(blocks: groupBlocks, percent: percent)
    let (data, parity) = (shape.dataPerStripe, shape.parityPerStripe)
    let run = 32 * ParityShape.blockSize
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: (data + parity) * run, alignment: 4096)
    defer { memory.deallocate() }
    for index in 0..<memory.count / 8 {
        memory.storeBytes(
            of: UInt64(index) &* 0x9e37_79b9_7f4a_7c15, toByteOffset: 8 * index, as: UInt64.self)
    }
    guard let start = memory.baseAddress else { continue }
    let blocks = (0..<data + parity).map { start + $0 * run }
    let code = ErasureCode(dataCount: data, parityCount: parity)
    let inputs = blocks[..<data].map { UnsafeRawPointer($0) }
    let encoding = rate(data * run) { code.encode(inputs, into: Array(blocks[data...]), length: run) }
    let decoder = code.decoder(missing: Array(0..<parity), parity: Array(0..<parity))
    let sources = decoder.sources.map { UnsafeRawPointer(blocks[$0]) }
    let decoding = rate(parity * run) {
        decoder.decode(sources, into: Array(blocks[..<parity]), length: run)
    }
    let checking = rate(data * run) {
        for offset in stride(from: 0, to: data * run, by: ParityShape.blockSize) {
            let block = memory[offset..<offset + ParityShape.blockSize]
            precondition(BlockChecksum.of(UnsafeRawBufferPointer(rebasing: block)) != 0)
        }
    }
    print(
        "\(percent) %: \(data) + \(parity) blocks, \(shape.stripes) stripes; encode \(encoding) MB/s of data,"
            + " decode \(decoding) MB/s of lost data, checksums \(checking) MB/s")
}
