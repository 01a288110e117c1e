/// Bytes as the header of a blob, as they are and with the checksum put right.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzBlobHeader(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    readHeader(bytes)
    var repaired = Array(bytes)
    for length in [Pack.BlobHeader.minimumLength, Pack.BlobHeader.maximumLength] where count >= length {
        repaired.withUnsafeMutableBytes { bytes in
            let crc = CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[..<(length - 4)]))
            bytes.storeBytes(of: crc.littleEndian, toByteOffset: length - 4, as: UInt32.self)
        }
        repaired.withUnsafeBytes { readHeader($0) }
    }
    return 0
}

private func readHeader(_ bytes: UnsafeRawBufferPointer) {
    guard let header = try? Pack.BlobHeader(prefixOf: bytes) else { return }
    precondition(header.encoded == Array(bytes.prefix(header.length)))
    precondition(Int(header.decodedLength) <= Pack.maximumBlobLength)
}
