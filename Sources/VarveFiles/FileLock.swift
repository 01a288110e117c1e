import Glibc
import VarveFormat

/// A lock on a file that goes with the open file description: a crash releases it, and closing another
/// descriptor of the same file in this process does not (as a POSIX record lock would).
public struct FileLock: ~Copyable, Sendable {
    public enum Mode: Sendable { case shared, exclusive }

    private let file: File

    private init(file: consuming File) { self.file = file }

    /// Nil if another holder has it. The file is created if it is missing.
    public static func acquire(_ path: String, _ mode: Mode) throws -> FileLock? {
        let file = try File.open(updatingFor: path)
        do {
            let operation = (mode == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB
            try systemCall("flock", path) { flock(file.descriptor, operation) }
        } catch let error as VarveError where error.errno == EWOULDBLOCK {
            return nil
        }
        return FileLock(file: file)
    }

    /// Writes who holds it, for the error that another process gives.
    public borrowing func describeHolder(_ text: String) throws {
        try file.truncate(to: 0)
        try Array(text.utf8).withUnsafeBytes { try file.write($0, at: 0) }
    }

    /// What the holder wrote, for a message; nil if it can't be told.
    public static func holder(_ path: String) -> String? {
        guard let file = try? File.open(reading: path), let bytes = try? file.readAll(limit: 4096) else {
            return nil
        }
        let text = String(decoding: bytes, as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}
