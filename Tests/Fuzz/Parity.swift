/// Bytes as a parity object: whatever they are, it is refused or read, and every block that it speaks of is within it.
///
/// A fuzzer does not guess checksums, so a second look has those of all blocks put right first.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzParity(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    var bytes = Array(UnsafeRawBufferPointer(start: start, count: count))
    readParity(bytes)
    // Shorter than a block, it is the beginning of one.
    if bytes.count < ParityShape.blockSize {
        bytes += [UInt8](repeating: 0, count: ParityShape.blockSize - bytes.count)
    }
    for end in stride(from: ParityShape.blockSize, through: bytes.count, by: ParityShape.blockSize) {
        let sum = bytes[end - ParityShape.blockSize..<end - 4].withUnsafeBytes { CRC32C.of($0) }
        withUnsafeBytes(of: sum.littleEndian) { bytes.replaceSubrange(end - 4..<end, with: $0) }
    }
    readParity(bytes)
    return 0
}

private func readParity(_ bytes: [UInt8]) {
    guard let file = try? ParityFile(BytesInMemory(bytes)) else { return }
    let shape = file.shape
    precondition(file.members.reduce(0) { $0 + $1.blocks } == shape.blocks)
    precondition(shape.dataPerStripe * shape.stripes >= shape.blocks)
    precondition(shape.dataPerStripe + shape.parityPerStripe <= 255)
    precondition(file.offset(ofParity: shape.parityBlocks) <= file.length)
    // The last block of the directory in front and the first one behind are where they should be.
    precondition(file.offset(ofParity: 0) + file.offset(ofParity: shape.parityBlocks) == file.length)
    let sums = file.checksums()
    var values: [UInt32] = []
    for block in 0..<shape.blocks {
        guard let sum = sums.data(block) else { return }
        values.append(sum)
    }
    for block in 0..<shape.parityBlocks {
        guard let sum = sums.parity(block) else { return }
        values.append(sum)
    }
    // Everything is known: it can be written again, and is read as the same.
    let directory = ParityFile.directory(
        repository: file.repository, shape: shape, members: file.members, checksums: values)
    guard let again = try? ParityFile(BytesInMemory(directory)) else { preconditionFailure("not read again") }
    precondition(again.members == file.members && again.shape == shape)
}
