import VarveFormat

/// A bounded view that slides over a file. Memory is the buffer's, whatever the file's size.
struct LogWindow: ~Copyable {
    typealias Read = (UInt64, UnsafeMutableRawBufferPointer) throws(VarveError) -> Int

    private let buffer: UnsafeMutableRawBufferPointer
    private let fileSize: UInt64
    /// What the buffer holds: `count` bytes of the file from `start` on.
    private var start: UInt64 = 0
    private var count = 0

    var capacity: Int { buffer.count }

    init(capacity: Int, fileSize: UInt64) {
        buffer = .allocate(byteCount: capacity, alignment: 4096)
        self.fileSize = fileSize
    }

    deinit { buffer.deallocate() }

    /// The `length` bytes at `offset`, valid until the next call; fewer where the file ends.
    ///
    /// - Precondition: `length` is at most the capacity.
    mutating func view(_ offset: UInt64, _ length: Int, _ read: Read) throws(VarveError)
        -> UnsafeRawBufferPointer
    {
        precondition(length <= capacity)
        let end = min(offset &+ UInt64(length), max(fileSize, offset))
        if offset < start || end > start &+ UInt64(count) { try slide(to: offset, until: end, read) }
        let first = min(Int(offset - start), count)
        let available = min(Int(end - offset), count - first)
        return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[first..<first + available])
    }

    private mutating func slide(to offset: UInt64, until end: UInt64, _ read: Read) throws(VarveError) {
        if offset >= start && offset < start &+ UInt64(count) {
            let first = Int(offset - start)
            count -= first
            UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[first..<first + count]))
        } else {
            count = 0
        }
        start = offset
        while start &+ UInt64(count) < end {
            let room = min(UInt64(capacity - count), fileSize - start - UInt64(count))
            let target = UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + Int(room)])
            let read = try read(start &+ UInt64(count), target)
            guard read >= 0 && read <= target.count else {
                throw VarveError(.system, "a read of \(target.count) bytes returned \(read)")
            }
            if read == 0 { break }
            count += read
        }
    }
}
