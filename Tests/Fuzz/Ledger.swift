/// Bytes as a segment of a ledger: what is read of it must be what is written of that again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLedger(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    // The fuzzer can't guess either id: they are those of the seed.
    let repository = RepositoryID([UInt8](repeating: 0x52, count: RepositoryID.byteCount))
    let copy = RepositoryID([UInt8](repeating: 0x43, count: RepositoryID.byteCount))
    guard let segment = try? LedgerSegment(salvaging: bytes, repository: repository, copy: copy) else {
        return 0
    }
    precondition(segment.rows.count <= count / LedgerSegment.rowLength)
    let again = LedgerSegment.encode(segment.rows, repository: repository, copy: copy)
    precondition((segment.damage == nil) == again.elementsEqual(bytes))
    let reread = try? again.withUnsafeBytes {
        try LedgerSegment(salvaging: $0, repository: repository, copy: copy)
    }
    precondition(reread?.rows == segment.rows && reread?.damage == nil)
    return 0
}
