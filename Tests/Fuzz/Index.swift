/// Bytes as an index: every entry is looked at, and every key looked up, whatever the table says.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzIndex(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    guard let table = try? IndexTable(bytes) else { return 0 }
    for number in 0..<table.packCount { _ = table.pack(number) }
    for index in 0..<table.count {
        if let location = table.location(index) { precondition(location.readLength > 0) }
        let key = table.key(index)
        var id = ByteWriter()
        id.integer(key.0.bigEndian)
        id.integer(key.1.bigEndian)
        id.zeros(16)
        _ = id.bytes.withUnsafeBytes { table.find(ContentID($0)) }
    }
    _ = table.find(.zero)
    var builder = IndexTableBuilder(repository: table.repository)
    builder.add(table) { _ in true }
    let merged = builder.encoded()
    precondition(merged.withUnsafeBytes { (try? IndexTable($0))?.count ?? -1 } == builder.distinct(merged))
    return 0
}

extension IndexTableBuilder {
    /// What the header of an encoded table counts, at most the entries that were added.
    fileprivate func distinct(_ encoded: [UInt8]) -> Int {
        let stored = encoded.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 16, as: UInt64.self) }
        precondition(UInt64(littleEndian: stored) <= UInt64(count))
        return Int(UInt64(littleEndian: stored))
    }
}
