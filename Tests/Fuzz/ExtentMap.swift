/// Bytes as a node of an extent map, as they are and with a length that fits the entries.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzExtentMap(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    readNode(bytes)
    // A fuzzer does not guess a length that fits: take the level and the extent size, and make the rest right.
    guard count >= ExtentMapNode.headerLength + ContentID.byteCount else { return 0 }
    var fitted = Array(bytes)
    let entries = (count - ExtentMapNode.headerLength) / ContentID.byteCount
    fitted.removeLast((count - ExtentMapNode.headerLength) % ContentID.byteCount)
    let extentSize = UInt64(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
    let span = extentSize &<< UInt64(8 * Int(bytes[5] % 5))
    fitted.replaceSubrange(0..<5, with: ExtentMapNode.magic + [ExtentMapNode.version])
    fitted.withUnsafeMutableBytes { bytes in
        bytes.storeBytes(of: 0, toByteOffset: 6, as: UInt16.self)
        bytes.storeBytes(of: UInt32(entries).littleEndian, toByteOffset: 12, as: UInt32.self)
        bytes.storeBytes(
            of: (span &* UInt64(entries - 1) &+ 1).littleEndian, toByteOffset: 16, as: UInt64.self)
    }
    fitted.withUnsafeBytes { readNode($0) }
    return 0
}

private func readNode(_ bytes: UnsafeRawBufferPointer) {
    guard let node = try? ExtentMapNode(bytes) else { return }
    precondition(node.encoded == Array(bytes))
    var sum: UInt64 = 0
    for index in node.children.indices { sum += node.childLength(index) }
    precondition(sum == node.length)
}
