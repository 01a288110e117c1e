import CLinux
import Glibc
import VarveFormat

/// Memory without a name, shared with a child by passing the descriptor.
package struct SharedMemory: ~Copyable {
    package let file: File
    package let bytes: UnsafeMutableRawBufferPointer

    /// - Precondition: `count > 0`
    package init(count: Int) throws(VarveError) {
        let memory = try File.memory("varve")
        try memory.truncate(to: UInt64(count))
        let mapped = try Self.map(memory.descriptor, count)
        file = memory
        bytes = mapped
    }

    /// Maps all of a descriptor that another process made.
    package init(mapping file: consuming File) throws(VarveError) {
        let size = try file.status().size
        let mapped = try Self.map(file.descriptor, Int(size))
        self.file = file
        bytes = mapped
    }

    deinit { munmap(bytes.baseAddress, bytes.count) }

    private static func map(_ descriptor: Int32, _ count: Int) throws(VarveError)
        -> UnsafeMutableRawBufferPointer
    {
        let address = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let address, address != MAP_FAILED else {
            throw SystemCallError(call: "mmap", path: "shared memory", errno: errno).error
        }
        return UnsafeMutableRawBufferPointer(start: address, count: count)
    }
}

extension File {
    /// A file in memory that has no name in any directory.
    package static func memory(_ name: String) throws(VarveError) -> File {
        let descriptor = try systemCall("memfd_create", name) {
            varve_memfd_create(name, UInt32(VARVE_MFD_CLOEXEC))
        }
        return File(descriptor: descriptor, path: name)
    }

    /// Whether there is something to read, or nothing will come any more; false after `milliseconds`.
    package borrowing func waitReadable(milliseconds: Int32) throws(VarveError) -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return try systemCall("poll", path) { Glibc.poll(&waiting, 1, milliseconds) } > 0
    }

    /// What is there now, at least one byte unless the other end is gone; empty then.
    package borrowing func readSome(limit: Int = 1 << 16) throws(VarveError) -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: limit) { (buffer, count) throws(VarveError) in
            let base = buffer.baseAddress
            count = try systemCall("read", path) { Glibc.read(descriptor, base, limit) }
        }
    }
}
