import CLinux
import Glibc
import VarveFormat

/// An open file: closed exactly once, every error reported with its path.
package struct File: ~Copyable, Sendable {
    package private(set) var descriptor: Int32
    /// As it was opened, for messages.
    package let path: String

    /// Takes over an open descriptor.
    package init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// Opens for reading. A missing file throws a system error with `ENOENT` (`VarveError.errno`).
    package static func open(reading path: String, followLinks: Bool = true, direct: Bool = false)
        throws(VarveError)
        -> File
    {
        let flags =
            O_RDONLY | O_CLOEXEC | (followLinks ? 0 : O_NOFOLLOW)
            | (direct ? Int32(VARVE_O_DIRECT) : 0)
        let descriptor = try systemCall("open", path) { Glibc.open(path, flags) }
        return File(descriptor: descriptor, path: path)
    }

    /// Opens for reading and writing, creating an empty file if there is none.
    package static func open(updating path: String, mode: mode_t = 0o600) throws(VarveError) -> File {
        let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW
        return File(descriptor: try systemCall("open", path) { Glibc.open(path, flags, mode) }, path: path)
    }

    /// Creates a file that must not be there.
    package static func create(_ path: String, mode: mode_t = 0o600) throws(VarveError) -> File {
        let flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        return File(descriptor: try systemCall("open", path) { Glibc.open(path, flags, mode) }, path: path)
    }

    /// A new file for what is too large for memory; its name goes at once, and its bytes with the last descriptor.
    package static func scratch(in directory: String) throws(VarveError) -> File {
        try RootDirectory(Path.parent(directory)).scratch(in: Path.name(directory))
    }

    /// Reads up to `buffer.count` bytes at `offset`, short only at the end of the file.
    package borrowing func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64)
        throws(VarveError) -> Int
    {
        var done = 0
        while done < buffer.count {
            let base = buffer.baseAddress! + done
            let room = buffer.count - done
            let position = off_t(offset) + off_t(done)
            let count = try systemCall("pread", path) { pread(descriptor, base, room, position) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// The same where the file was opened for direct reads.
    ///
    /// - Precondition: offset, address and length are multiples of 4096, which suits every disk.
    /// - Parameter size: of the file: a read that gives less than it was asked for has met the end, or a bad sector,
    ///   which shows when the block is read again.
    package borrowing func readDirect(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, size: UInt64
    ) throws(VarveError) -> Int {
        let block = 4096
        var done = 0
        while done < buffer.count, offset + UInt64(done) < size {
            let start = done / block * block
            let base = buffer.baseAddress! + start
            let room = buffer.count - start
            let position = off_t(offset) + off_t(start)
            let count = try systemCall("pread", path) { pread(descriptor, base, room, position) }
            if start + count <= done { break }
            done = start + count
        }
        return done
    }

    /// The whole content of a small file; refuses more than `limit` bytes.
    package borrowing func readAll(limit: Int) throws(VarveError) -> [UInt8] {
        let size = try status().size
        guard size <= UInt64(limit) else {
            throw VarveError(.invalid, "\(path) has \(size) bytes, at most \(limit) are expected")
        }
        return try [UInt8](unsafeUninitializedCapacity: Int(size)) { (buffer, count) throws(VarveError) in
            count = try read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
    }

    package borrowing func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(VarveError) {
        var done = 0
        while done < bytes.count {
            let base = bytes.baseAddress! + done
            let rest = bytes.count - done
            let position = off_t(offset) + off_t(done)
            let count = try systemCall("pwrite", path) { pwrite(descriptor, base, rest, position) }
            // POSIX allows it for no error we know; without this the loop would not end.
            guard count > 0 else { throw SystemCallError(call: "pwrite", path: path, errno: EIO).error }
            done += count
        }
    }

    /// Appends at the descriptor's own position.
    package borrowing func write(_ bytes: UnsafeRawBufferPointer) throws(VarveError) {
        var done = 0
        while done < bytes.count {
            let base = bytes.baseAddress! + done
            let rest = bytes.count - done
            let count = try systemCall("write", path) { Glibc.write(descriptor, base, rest) }
            guard count > 0 else { throw SystemCallError(call: "write", path: path, errno: EIO).error }
            done += count
        }
    }

    /// Appends past the page cache what goes in whole blocks of 4096 bytes, and the rest through it; all of it through
    /// it where the file system refuses, or the bytes do not begin at a multiple of 4096.
    package borrowing func writeDirect(_ bytes: UnsafeRawBufferPointer) throws(VarveError) {
        let flags = fcntl(descriptor, F_GETFL)
        var done = 0
        if let base = bytes.baseAddress, UInt(bitPattern: base) % 4096 == 0,
            fcntl(descriptor, F_SETFL, flags | Int32(VARVE_O_DIRECT)) == 0
        {
            defer { _ = fcntl(descriptor, F_SETFL, flags) }
            do {
                while bytes.count - done >= 4096 {
                    let whole = (bytes.count - done) / 4096 * 4096
                    let count = try systemCall("write", path) { Glibc.write(descriptor, base + done, whole) }
                    done += count
                    // What is no whole block can't be gone on from.
                    if count <= 0 || count % 4096 != 0 { break }
                }
            } catch let error where error.errno == EINVAL {}
        }
        try write(UnsafeRawBufferPointer(rebasing: bytes[done...]))
    }

    /// To the medium. After an error the file must be written anew: the kernel forgets the failed pages, and a
    /// second `fsync` would say that all is well.
    package borrowing func sync() throws(VarveError) { try systemCall("fsync", path) { fsync(descriptor) } }

    /// The disk begins to write these bytes, and nobody waits for it; what fails, `sync` tells.
    package borrowing func startWriting(at offset: UInt64, count: Int) {
        varve_start_writing(descriptor, offset, UInt64(count))
    }

    package borrowing func truncate(to size: UInt64) throws(VarveError) {
        try systemCall("ftruncate", path) { ftruncate(descriptor, off_t(size)) }
    }

    package borrowing func status() throws(VarveError) -> FileStatus {
        var value = stat()
        try systemCall("fstat", path) { fstat(descriptor, &value) }
        return FileStatus(value)
    }

    /// Where the last bytes end that the file system keeps; behind them the file reads as zeros. Its size, where the file
    /// system can't tell (`lseek(2)`, SEEK_HOLE).
    package borrowing func dataEnd() throws(VarveError) -> UInt64 {
        var end: off_t = 0
        while true {
            let data = lseek(descriptor, end, Int32(VARVE_SEEK_DATA))
            if data < 0 {
                if errno == ENXIO { return UInt64(end) }
                return try status().size
            }
            end = try systemCall("lseek", path) { lseek(descriptor, data, Int32(VARVE_SEEK_HOLE)) }
        }
    }

    /// Of a symbolic link that was opened itself (`O_PATH`).
    package borrowing func linkTarget() throws(VarveError) -> String {
        try Self.linkTarget(descriptor, "", path)
    }

    /// Where a symbolic link leads to, as it is written in it.
    package static func linkTarget(_ path: String) throws(VarveError) -> String {
        try linkTarget(AT_FDCWD, path, path)
    }

    private static func linkTarget(_ directory: Int32, _ name: String, _ path: String) throws(VarveError)
        -> String
    {
        let bytes = try [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) {
            (buffer, count) throws(VarveError) in
            try buffer.withMemoryRebound(to: CChar.self) { (buffer) throws(VarveError) in
                count = try systemCall("readlinkat", path) {
                    readlinkat(directory, name, buffer.baseAddress!, buffer.count)
                }
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    package borrowing func setMode(_ mode: mode_t) throws(VarveError) {
        try systemCall("fchmod", path) { fchmod(descriptor, mode) }
    }

    package borrowing func setOwner(user: UInt32, group: UInt32) throws(VarveError) {
        try systemCall("fchown", path) { fchown(descriptor, user, group) }
    }

    package borrowing func setModified(_ time: Timestamp) throws(VarveError) {
        let modified = timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
        let times = [timespec(tv_sec: 0, tv_nsec: Int(VARVE_UTIME_OMIT)), modified]
        try systemCall("futimens", path) { futimens(descriptor, times) }
    }

    /// Tells the kernel how the file will be read; it may ignore it, so there is nothing to throw.
    /// Starts to read the whole file into the page cache, and does not wait for it.
    package borrowing func adviseNeeded() { posix_fadvise(descriptor, 0, 0, POSIX_FADV_WILLNEED) }

    /// Lets go of what the page cache holds of the file, unless it is mapped, or not yet written.
    package borrowing func adviseNotNeeded(at offset: UInt64 = 0, count: Int = 0) {
        posix_fadvise(descriptor, off_t(offset), off_t(count), POSIX_FADV_DONTNEED)
    }

    package borrowing func adviseSequential() { posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL) }

    /// Closes and reports what only shows here (delayed write errors on network file systems).
    package consuming func close() throws(VarveError) {
        let closing = descriptor
        descriptor = -1
        // Not retried on EINTR: on Linux the descriptor is gone either way.
        if Glibc.close(closing) != 0 && errno != EINTR {
            throw SystemCallError(call: "close", path: path, errno: errno).error
        }
    }
}

extension File {
    /// The first bytes, fewer if the file is shorter.
    package borrowing func readStart(_ count: Int) throws(VarveError) -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { (buffer, done) throws(VarveError) in
            done = try read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
    }

    /// Everything from the descriptor's own position on, of a pipe too; cut off at the limit.
    package borrowing func readStream(limit: Int) throws(VarveError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let piece = try readSome(limit: limit - bytes.count)
            if piece.isEmpty { break }
            bytes += piece
        }
        return bytes
    }

    /// Everything of a file whose size `stat` does not tell, as those in `/proc`; cut off at the limit.
    package borrowing func readToEnd(limit: Int) throws(VarveError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let offset = UInt64(bytes.count)
            let piece = try [UInt8](unsafeUninitializedCapacity: min(1 << 16, limit - bytes.count)) {
                (buffer, done) throws(VarveError) in
                done = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            }
            if piece.isEmpty { break }
            bytes += piece
        }
        return bytes
    }
}

/// What `stat` says of a file, with the names that the rest of the house uses.
package struct FileStatus: Sendable, Hashable {
    package enum Kind: Sendable { case regular, directory, symbolicLink, other }

    package var kind: Kind
    /// The file type as `stat` gives it, `S_IFMT`: tells apart what is `other`.
    package var type: UInt32
    package var device: UInt64
    package var inode: UInt64
    package var size: UInt64
    /// Permission bits, `07777`.
    package var mode: UInt32
    package var user: UInt32
    package var group: UInt32
    package var modified: Timestamp
    package var changed: Timestamp
    package var links: UInt64

    package init(_ value: stat) {
        type = UInt32(value.st_mode & S_IFMT)
        kind =
            switch value.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .other
            }
        device = UInt64(value.st_dev)
        inode = UInt64(value.st_ino)
        size = UInt64(max(0, value.st_size))
        mode = UInt32(value.st_mode & 0o7777)
        user = value.st_uid
        group = value.st_gid
        modified = Timestamp(seconds: Int64(value.st_mtim.tv_sec), nanoseconds: UInt32(value.st_mtim.tv_nsec))
        changed = Timestamp(seconds: Int64(value.st_ctim.tv_sec), nanoseconds: UInt32(value.st_ctim.tv_nsec))
        links = UInt64(value.st_nlink)
    }

    package var attributes: Manifest.Attributes {
        Manifest.Attributes(mode: mode, user: user, group: group, modified: modified)
    }

    /// Nil if there is nothing at the path.
    package static func of(_ path: String, followLinks: Bool = true) throws(VarveError) -> FileStatus? {
        var value = stat()
        do {
            try systemCall("stat", path) { followLinks ? stat(path, &value) : lstat(path, &value) }
        } catch let error where error.errno == ENOENT || error.errno == ENOTDIR {
            return nil
        }
        return FileStatus(value)
    }
}
