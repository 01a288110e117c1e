/// Bytes as an index: every entry is looked at, and every key looked up, whatever the table says. Bytes as a filter.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzIndex(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = BytesInMemory(Array(UnsafeRawBufferPointer(start: start, count: count)))
    if let filter = try? IndexFilter(bytes) { _ = try? filter.mayContain(filter.table) }
    guard let table = try? IndexTable(bytes) else { return 0 }
    do { try look(into: table) } catch { fatalError("\(error)") }
    return 0
}

/// In memory every read succeeds: nothing may throw but what is out of order.
private func look(into table: IndexTable) throws {
    var packs = 0
    try table.forEachPack { _ in packs += 1 }
    precondition(packs == table.packCount)
    let entries = table.entries()
    while let entry = try entries.next() {
        if let location = try table.location(entry) { precondition(location.readLength > 0) }
        var id = ByteWriter()
        id.integer(entry.key.0.bigEndian)
        id.integer(entry.key.1.bigEndian)
        id.zeros(16)
        _ = try id.bytes.withUnsafeBytes { try table.find(ContentID($0)) }
    }
    _ = try table.find(.zero)
    try? IndexFilter.write(of: table, name: .zero) { _ in }
    // Damaged tables are never merged, but the merge of one must end, and be a table.
    var merged: [UInt8] = []
    let merge = try IndexTableMerge([table, table], repository: table.repository) { _ in true }
    try merge.write { merged.append(contentsOf: $0) }
    let count = try IndexTable(BytesInMemory(merged)).count
    precondition(count <= 2 * table.count)
}
