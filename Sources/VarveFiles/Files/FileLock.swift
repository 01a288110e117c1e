import Glibc
import VarveFormat

/// A lock on a file that goes with the open file description: a crash releases it, and closing another
/// descriptor of the same file in this process does not (as a POSIX record lock would).
package struct FileLock: ~Copyable, Sendable {
    package enum Mode: Sendable { case shared, exclusive }

    private let file: File

    private init(file: consuming File) { self.file = file }

    /// Nil if another holder has it. The file is created if it is missing.
    package static func acquire(_ path: String, _ mode: Mode) throws(VarveError) -> FileLock? {
        try acquire(try File.open(updating: path), path, mode)
    }

    /// The same beneath an open directory: never through a link, and never of what is no file.
    package static func acquire(_ name: String, in root: RootDirectory, _ mode: Mode) throws(VarveError)
        -> FileLock?
    {
        try acquire(try root.open(updatingForOwner: name), Path.join(root.path, name), mode)
    }

    private static func acquire(
        _ file: consuming File, _ path: String, _ mode: Mode
    ) throws(VarveError) -> FileLock? {
        do {
            let operation = (mode == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB
            try systemCall("flock", path) { flock(file.descriptor, operation) }
        } catch let error where error.errno == EWOULDBLOCK {
            return nil
        }
        return FileLock(file: file)
    }

    /// Writes who holds it, for the error that another process gives.
    package borrowing func describeHolder(_ text: String) throws(VarveError) {
        // With another name it may be somebody's file that was linked here for us to overwrite.
        guard try file.status().links <= 1 else { return }
        try file.truncate(to: 0)
        try Array(text.utf8).withBytes { (bytes) throws(VarveError) in try file.write(bytes, at: 0) }
    }

    /// What the holder wrote, for a message; nil if it can't be told.
    package static func holder(_ path: String) -> String? {
        guard let root = try? RootDirectory(Path.parent(path)) else { return nil }
        return holder(Path.name(path), in: root)
    }

    package static func holder(_ name: String, in root: RootDirectory) -> String? {
        guard let bytes = try? root.open(reading: name).readAll(limit: 4096) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}
