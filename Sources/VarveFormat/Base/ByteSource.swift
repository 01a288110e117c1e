/// The bytes of an object that is too large to be held, read piece by piece where they lie.
///
/// What reads them knows nothing of files, so a parser stays free of input and output.
package protocol ByteSource: Sendable {
    var byteCount: Int { get }

    /// Fills `buffer` with the bytes from `offset` on. Throws if they end before, or can't be read. From any thread.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError)
}

/// Bytes that are in memory already.
package struct BytesInMemory: ByteSource {
    private let bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package var byteCount: Int { bytes.count }

    package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError) {
        guard offset >= 0, buffer.count <= bytes.count, offset <= bytes.count - buffer.count else {
            throw VarveError(
                .corrupt, "\(buffer.count) bytes wanted at \(offset), but there are \(bytes.count)")
        }
        bytes.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count]))
        }
    }
}

extension ByteSource {
    /// The next `count` bytes at `offset`, for as long as `body` runs; for few bytes, which need no heap.
    func withBytes<R>(
        at offset: Int, count: Int, _ body: (UnsafeRawBufferPointer) throws(VarveError) -> R
    ) throws(VarveError) -> R {
        try withUnsafeTemporaryAllocation(byteCount: max(1, count), alignment: 8) {
            (memory) throws(VarveError) in
            let buffer = UnsafeMutableRawBufferPointer(rebasing: memory[..<count])
            try read(at: offset, into: buffer)
            return try body(UnsafeRawBufferPointer(buffer))
        }
    }

    func id(at offset: Int) throws(VarveError) -> ContentID {
        try withBytes(at: offset, count: ContentID.byteCount) { ContentID($0) }
    }
}
