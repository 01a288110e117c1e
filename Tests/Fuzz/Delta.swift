/// Bytes as the payload of a delta for a blob whose length is the first four of them.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDelta(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    var reader = ByteReader(UnsafeRawBufferPointer(start: start, count: count), what: "the input")
    guard let declared: UInt32 = try? reader.integer(), let payload = try? reader.take(reader.remaining)
    else {
        return 0
    }
    let decodedLength = Int(declared) % (Pack.maximumBlobLength + 1)
    guard let delta = try? DeltaPayload(prefixOf: payload, decodedLength: decodedLength) else { return 0 }
    precondition(delta.encoded == Array(payload.prefix(delta.frameOffset)))
    precondition(delta.changedLength <= decodedLength)
    for (range, prefix) in zip(delta.ranges, delta.prefixRanges()) {
        precondition(range.upperBound <= decodedLength && prefix.upperBound <= delta.baseLength)
    }
    return 0
}
