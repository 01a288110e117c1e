/// Bytes as every JSON document of a repository, and as the small texts in them.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDocuments(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = Array(UnsafeRawBufferPointer(start: start, count: count))
    decodeTwice(Manifest.self, bytes)
    decodeTwice(RepositoryDescription.self, bytes)
    decodeTwice(CopyDescription.self, bytes)
    decodeTwice(RepositoryIdentity.self, bytes)
    decodeTwice(CopyRecord.self, bytes)
    decodeTwice(Event.self, bytes)
    if let source = RememberedSource(bytes) { precondition(SourceName.isPossible(source.name)) }
    let text = String(decoding: bytes, as: UTF8.self)
    if let time = Timestamp(text) { precondition(Timestamp(time.description) == time) }
    if let id = ContentID(hex: text) { precondition(id.hex == text) }
    return 0
}

/// What was read and written is read again as the same value.
private func decodeTwice<T: Codable & Equatable>(_ type: T.Type, _ bytes: [UInt8]) {
    guard let value = try? JSON.decode(type, from: bytes, what: "input"),
        let encoded = try? JSON.encode(value)
    else { return }
    guard let again = try? JSON.decode(type, from: encoded, what: "output") else {
        preconditionFailure("what was written can't be read")
    }
    precondition(again == value)
}
