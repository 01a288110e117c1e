import Glibc
import VarveFormat

/// A file's bytes in memory, read-only, unmapped when the last reference goes.
///
/// Only for files that nobody writes: a mapped file that is truncated kills its reader with SIGBUS.
public final class MappedFile: @unchecked Sendable {
    // Sendable: immutable after init, and the mapping is read-only.
    public let bytes: UnsafeRawBufferPointer
    public let path: String

    public init(_ path: String) throws {
        self.path = path
        let file = try File.open(reading: path)
        let size = Int(try file.status().size)
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        let address = mmap(nil, size, PROT_READ, MAP_SHARED, file.descriptor, 0)
        guard let address, address != MAP_FAILED else {
            throw SystemCallError(call: "mmap", path: path, errno: errno).error
        }
        bytes = UnsafeRawBufferPointer(start: address, count: size)
    }

    deinit {
        if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
    }
}
