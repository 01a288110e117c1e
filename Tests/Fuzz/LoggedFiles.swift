/// Bytes as the records of one log, their checksums put right: what they say of files must hold together.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLoggedFiles(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    var bytes = Array(UnsafeRawBufferPointer(start: start, count: count))
    bytes.withUnsafeMutableBytes { repairChecksums($0) }
    var files = LoggedFiles()
    bytes.withUnsafeBytes { _ = try? LogWalker.walk(number: 1, bytes: $0) { files.add($0) } }
    for file in files.databases {
        precondition(!file.names.isEmpty && file.removed == nil && files.files[file.fileID] == file)
    }
    for change in files.changes { precondition(change.begin <= change.lsn) }
    return 0
}

private func repairChecksums(_ bytes: UnsafeMutableRawBufferPointer) {
    var offset = 0
    var previous: UInt32 = 0
    while offset + 12 <= bytes.count {
        let length = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
        guard length > 12 && Int(length) <= bytes.count - offset else { return }
        let body = UnsafeRawBufferPointer(rebasing: bytes[(offset + 12)..<(offset + Int(length))])
        let sum = checksum(body) ^ previous ^ length
        bytes.storeBytes(of: previous.littleEndian, toByteOffset: offset, as: UInt32.self)
        bytes.storeBytes(of: sum.littleEndian, toByteOffset: offset + 8, as: UInt32.self)
        previous = UInt32(offset)
        offset += Int(length)
    }
}
