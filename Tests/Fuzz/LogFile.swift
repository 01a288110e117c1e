/// Bytes as a log file, in memory and through the smallest window: both must tell the same.
///
/// A fuzzer does not guess checksums, so a second walk has them put right first.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLogFile(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    walkBothWays(bytes)
    var repaired = Array(bytes)
    repaired.withUnsafeMutableBytes { repairChecksums($0) }
    repaired.withUnsafeBytes { walkBothWays($0) }
    return 0
}

private func walkBothWays(_ bytes: UnsafeRawBufferPointer) {
    let whole = try? LogWalker.walk(number: 1, bytes: bytes)
    let windowed = try? LogWalker.walk(number: 1, size: UInt64(bytes.count), bufferSize: 0) {
        offset, buffer in
        let part = bytes[min(Int(offset), bytes.count)...].prefix(min(buffer.count, 777))
        buffer.copyBytes(from: part)
        return part.count
    }
    precondition(whole == windowed)
    guard let whole else { return }
    precondition(whole.validLength <= whole.size && whole.size == UInt64(bytes.count))
    if let chain = try? LogChain.check([whole]) { precondition(!chain.covers(chain.end)) }
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
