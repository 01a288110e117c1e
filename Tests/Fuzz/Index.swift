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
    // Damaged tables are never merged, but the merge of one must end, and be a table.
    var merged: [UInt8] = []
    let merge = IndexTableMerge([table, table], repository: table.repository) { _ in true }
    try? merge.write { merged.append(contentsOf: $0) }
    precondition(merged.withUnsafeBytes { (try? IndexTable($0))?.count ?? .max } <= 2 * table.count)
    return 0
}
