/// Bytes as a database file: its first page as a header, the whole as pages, also as a queue's extent.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDatabasePage(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    _ = DatabaseHeader.isRenamed(bytes)
    guard let header = try? DatabaseHeader.probe(bytes) else { return 0 }
    for extent in [nil, 0, 3, UInt32.max] {
        var result = PageRunResult()
        PageChecker(header: header, queueExtent: extent)
            .check(run: bytes, firstPage: PageNumber(extent ?? 0), into: &result)
        precondition(result.badPages.count <= PageRunResult.badPageLimit)
        precondition(result.pageCount == UInt64(count / header.pageSize))
    }
    return 0
}
