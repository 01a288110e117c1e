import Glibc
import Synchronization
import VarveFiles
import VarveFormat

/// An object that is read past the cache, in order to know what is on the medium.
package protocol MediaObject: Sendable {
    /// How it was read so far.
    var method: LedgerRow.Method { get }

    /// Reads up to `buffer.count` bytes, short at the end only. An unreadable sector throws with EIO.
    ///
    /// - Precondition: offset, address and length are multiples of 4096.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError) -> Int
}

/// Of a storage that has no medium, or none that it can tell from a cache.
final class CachedObject: MediaObject {
    private let body: @Sendable (UInt64, UnsafeMutableRawBufferPointer) throws(VarveError) -> Int

    init(_ body: @escaping @Sendable (UInt64, UnsafeMutableRawBufferPointer) throws(VarveError) -> Int) {
        self.body = body
    }

    var method: LedgerRow.Method { .dropBehind }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError) -> Int {
        try body(offset, buffer)
    }
}

extension Storage {
    /// Through whatever cache there is: for comparison, it proves nothing of the medium.
    package func openCached(_ object: ObjectName) -> any MediaObject {
        willRead(object)
        return CachedObject { (offset, buffer) throws(VarveError) in
            try read(object, at: offset, into: buffer)
        }
    }
}

/// A file read with O_DIRECT; where the file system refuses that, at `open` or only at `read`, through the page cache,
/// out of which it is dropped before and after. Objects are durable, so no page of one is dirty and stays for that.
final class MediaFile: MediaObject {
    private final class Opened: Sendable {
        let file: File
        let size: UInt64
        private let isCached: Bool

        init(_ file: consuming File, isCached: Bool) throws(VarveError) {
            size = try file.status().size
            self.isCached = isCached
            if isCached { file.adviseNotNeeded() }
            self.file = file
        }

        deinit { if isCached { file.adviseNotNeeded() } }
    }

    private let root: RootDirectory
    private let name: String
    private let direct: Opened?
    private let buffered: Mutex<Opened?>

    init(_ root: RootDirectory, _ name: String) throws(VarveError) {
        self.root = root
        self.name = name
        do {
            direct = try Opened(try root.open(reading: name, direct: true), isCached: false)
            buffered = Mutex(nil)
        } catch let error where error.isRefusal {
            direct = nil
            buffered = Mutex(try Self.open(root, name))
        }
    }

    private static func open(_ root: RootDirectory, _ name: String) throws(VarveError) -> Opened {
        try Opened(try root.open(reading: name), isCached: true)
    }

    var method: LedgerRow.Method { buffered.withLock { $0 == nil } ? .direct : .dropBehind }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError) -> Int {
        if let direct, buffered.withLock({ $0 == nil }) {
            do {
                return try direct.file.readDirect(into: buffer, at: offset, size: direct.size)
            } catch let error where error.isRefusal {}
        }
        let opened = try buffered.withLock { (opened) throws(VarveError) in
            if let opened { return opened }
            let new = try Self.open(root, name)
            opened = new
            return new
        }
        let count = try opened.file.read(into: buffer, at: offset)
        opened.file.adviseNotNeeded(at: offset, count: count)
        return count
    }
}

extension VarveError {
    /// Direct input is not what this file system does.
    fileprivate var isRefusal: Bool { errno == EINVAL || errno == ENOTSUP }
}
