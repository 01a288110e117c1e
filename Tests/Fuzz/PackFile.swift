/// Bytes as a pack: its header, its directory, and what a scan finds in it.
///
/// A fuzzer does not guess checksums, so a second look has the trailer's put right first.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPackFile(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    if let header = try? Pack.Header(UnsafeRawBufferPointer(rebasing: bytes.prefix(Pack.headerLength))) {
        precondition(header.encoded == Array(bytes.prefix(Pack.headerLength)))
    }
    readPack(bytes)
    var repaired = Array(bytes)
    repaired.withUnsafeMutableBytes { repairChecksums($0) }
    repaired.withUnsafeBytes { readPack($0) }
    return 0
}

private func readPack(_ bytes: UnsafeRawBufferPointer) {
    let contents = PackContents(scanning: bytes)
    var end = min(Pack.headerLength, bytes.count)
    for entry in contents.entries {
        precondition(Int(entry.offset) >= end)
        end = Int(entry.offset) + entry.header.totalLength
        precondition(end <= bytes.count)
    }
    for range in contents.damaged { precondition(range.upperBound <= bytes.count && !range.isEmpty) }
    guard let directory = try? directory(of: bytes) else { return }
    let at = directory.entries.last.map { Int($0.offset) + $0.header.totalLength } ?? Pack.headerLength
    // Between the last blob and the directory there may be bytes, which verification reports.
    precondition(at + directory.encoded(at: at).count <= bytes.count)
}

private func directory(of bytes: UnsafeRawBufferPointer) throws -> PackDirectory {
    guard bytes.count >= Pack.trailerLength else { throw VarveError(.corrupt, "too short") }
    let end = UnsafeRawBufferPointer(rebasing: bytes.suffix(Pack.trailerLength))
    let trailer = try PackDirectory.Trailer(end, packLength: bytes.count)
    let range = trailer.directoryOffset..<trailer.directoryOffset + trailer.directoryLength
    return try PackDirectory(UnsafeRawBufferPointer(rebasing: bytes[range]), trailer: trailer)
}

/// Of the trailer, of the directory that it locates, and of every blob header that has its magic number.
private func repairChecksums(_ bytes: UnsafeMutableRawBufferPointer) {
    var offset = Pack.headerLength
    while offset + Pack.BlobHeader.minimumLength <= bytes.count {
        if bytes[offset...].starts(with: Pack.BlobHeader.magic) {
            let isDelta = bytes[offset + 5] == BlobEncoding.delta.rawValue
            let length = isDelta ? Pack.BlobHeader.maximumLength : Pack.BlobHeader.minimumLength
            if offset + length <= bytes.count {
                store(bytes, offset..<offset + length - 4, offset + length - 4)
            }
        }
        offset += 1
    }
    guard bytes.count >= Pack.headerLength + Pack.trailerLength else { return }
    let trailer = bytes.count - Pack.trailerLength
    let start = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: trailer + 8, as: UInt32.self))
    if Int(start) <= trailer {
        bytes.storeBytes(
            of: UInt32(trailer - Int(start)).littleEndian, toByteOffset: trailer + 12, as: UInt32.self)
        store(bytes, Int(start)..<trailer, trailer + 20)
    }
    bytes.storeBytes(of: UInt32(bytes.count).littleEndian, toByteOffset: trailer + 24, as: UInt32.self)
    store(bytes, trailer..<bytes.count - 4, bytes.count - 4)
}

private func store(_ bytes: UnsafeMutableRawBufferPointer, _ range: Range<Int>, _ at: Int) {
    let crc = CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[range]))
    bytes.storeBytes(of: crc.littleEndian, toByteOffset: at, as: UInt32.self)
}
