/// Bytes as the stream between the helper and its parent, as the body of each message, and as a journal.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCaptureFrames(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    readBody(bytes)
    _ = try? CaptureJournal(bytes)
    let whole = frames(bytes, piece: max(1, count))
    precondition(whole == frames(bytes, piece: 7))
    for body in whole { body.withUnsafeBytes { readBody($0) } }
    return 0
}

/// What was read and written is read again as the same value.
private func readBody(_ bytes: UnsafeRawBufferPointer) {
    if let event = try? CaptureEvent(bytes) {
        let body = event.encoded.withUnsafeBytes { frames($0, piece: 1 << 20) }
        let again = body.first?.withUnsafeBytes { try? CaptureEvent($0) }
        precondition(body.count == 1 && again == event)
    }
    if let command = try? CaptureCommand(bytes) {
        let body = command.encoded.withUnsafeBytes { frames($0, piece: 1 << 20) }
        let again = body.first?.withUnsafeBytes { try? CaptureCommand($0) }
        precondition(body.count == 1 && again == command)
    }
}

/// The same whatever the pieces in which the bytes come.
private func frames(_ bytes: UnsafeRawBufferPointer, piece: Int) -> [[UInt8]] {
    var buffer = CaptureFrameBuffer()
    var bodies: [[UInt8]] = []
    for start in stride(from: 0, to: bytes.count, by: piece) {
        buffer.append(UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + piece, bytes.count)]))
        do {
            while let body = try buffer.next() { bodies.append(body) }
        } catch { return bodies }
    }
    return bodies
}
