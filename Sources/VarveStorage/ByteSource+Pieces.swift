import VarveFormat

extension ByteSource {
    /// All of it, front to back, in pieces of 1 MiB.
    package func forEachPiece(_ body: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError)
    {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var offset = 0
        while offset < byteCount {
            let piece = UnsafeMutableRawBufferPointer(
                rebasing: buffer[..<min(buffer.count, byteCount - offset)])
            try read(at: offset, into: piece)
            try body(UnsafeRawBufferPointer(piece))
            offset += piece.count
        }
    }
}
