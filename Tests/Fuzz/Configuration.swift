/// Bytes as a `DB_CONFIG` file, and each of its lines as a file name.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    let configuration = DatabaseConfiguration(parsing: bytes)
    precondition(
        configuration.absoluteNames.count + configuration.climbingNames.count
            <= configuration.directories.count)
    for line in bytes.split(separator: 10) {
        let name = String(decoding: line, as: UTF8.self)
        if case .log(let number) = EnvironmentFileKind.classify(name) {
            precondition(EnvironmentFileKind.logName(number) == name)
        }
    }
    return 0
}
