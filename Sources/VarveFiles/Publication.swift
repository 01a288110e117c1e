import CLinux
import Glibc
import VarveFormat

/// Makes an immutable file appear under its final name all at once, durably, or not at all.
public enum Publication {
    /// Writes an object to `directory` by way of a new file in `temporary`, on the same file system: write, `fsync`,
    /// `rename` without replacing, `fsync` of the directory. Returns only when all four are done; on any error the
    /// temporary file is removed and nothing counts.
    ///
    /// - Parameter write: writes the content and tells the name; called again, for a new file, if the disk lost what
    ///   was written.
    /// - Returns: the name, and false if it was there already; the caller decides whether what is there is good.
    public static func publish(
        in directory: String, temporary: String, mode: mode_t = 0o400,
        write: (borrowing File) throws -> String
    ) throws -> (name: String, isNew: Bool) {
        let (staged, name) = try stage(in: temporary, mode: mode, write)
        let isNew: Bool
        do {
            isNew = try renameWithoutReplacing(staged, to: Path.join(directory, name))
            if !isNew { try Directory.removeFile(staged) }
        } catch {
            unlink(staged)
            throw error
        }
        try Directory.sync(directory)
        return (name, isNew)
    }

    /// Writes an object in place of a damaged one: the new bytes are durable before the old file gets its name in
    /// quarantine, and at no moment is there neither. On any error the old file is still there.
    ///
    /// - Parameters:
    ///   - path: what is replaced; absent is fine.
    ///   - aside: its new name, on the same file system.
    ///   - write: writes the content; called again, for a new file, if the disk lost what was written.
    public static func substitute(
        _ path: String, aside: String, temporary: String, mode: mode_t = 0o400,
        write: (borrowing File) throws -> Void
    ) throws {
        let (staged, _) = try stage(in: temporary, mode: mode, write)
        do {
            do {
                try systemCall("link", aside) { link(path, aside) }
                try Directory.sync(Path.parent(aside))
            } catch let error as VarveError where error.errno == ENOENT {
            } catch let error as VarveError where [EPERM, ENOTSUP, ENOSYS, EMLINK].contains(error.errno) {
                // A file system without hard links.
                try Directory.rename(path, to: aside)
                try Directory.sync(Path.parent(aside))
            }
            try Directory.rename(staged, to: path)
        } catch {
            unlink(staged)
            throw error
        }
        try Directory.sync(Path.parent(path))
    }

    /// - Returns: the new file's path, and what `write` returned.
    private static func stage<R>(
        in temporary: String, mode: mode_t, _ write: (borrowing File) throws -> R
    ) throws -> (path: String, result: R) {
        let staged = Path.join(temporary, String(UInt64.random(in: 0 ... .max), radix: 36))
        do {
            return (staged, try stage(at: staged, mode: mode, write))
        } catch let error as VarveError where error.errno == EIO {
            // A failed write-back loses the pages: write them again, to a new file, once.
            return (staged, try stage(at: staged, mode: mode, write))
        }
    }

    private static func stage<R>(
        at path: String, mode: mode_t, _ write: (borrowing File) throws -> R
    ) throws -> R {
        let file = try File.create(path, mode: mode)
        do {
            let result = try write(file)
            try file.sync()
            try file.close()
            return result
        } catch {
            unlink(path)
            throw error
        }
    }

    /// `renameat2(RENAME_NOREPLACE)`; where the file system has no such thing, link and unlink; where it has no links
    /// either (exFAT), a look and `rename`: one writer at a time holds the lock, so nobody comes in between.
    private static func renameWithoutReplacing(_ from: String, to: String) throws -> Bool {
        do {
            try systemCall("renameat2", to) {
                varve_renameat2(AT_FDCWD, from, AT_FDCWD, to, UInt32(VARVE_RENAME_NOREPLACE))
            }
            return true
        } catch let error as VarveError where error.errno == EEXIST {
            return false
        } catch let error as VarveError where error.errno == EINVAL || error.errno == ENOSYS {
            do {
                try systemCall("link", to) { link(from, to) }
            } catch let error as VarveError where error.errno == EEXIST {
                return false
            } catch let error as VarveError where [EPERM, EOPNOTSUPP, ENOSYS].contains(error.errno) {
                if try FileStatus.of(to, followLinks: false) != nil { return false }
                try Directory.rename(from, to: to)
                return true
            }
            try Directory.removeFile(from)
            return true
        }
    }

    /// Whether a file of this name is what a killed `replace` of `path` left beside it.
    public static func isStaged(_ name: String, for path: String) -> Bool {
        name.hasPrefix(Path.name(path) + ".") && name.hasSuffix(".tmp")
    }

    /// Replaces a small mutable file (a state file, never an object): new content or old content, never a mix.
    public static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o600) throws {
        let staged = path + ".\(String(UInt64.random(in: 0 ... .max), radix: 36)).tmp"
        try stage(at: staged, mode: mode) { file in try bytes.withUnsafeBytes { try file.write($0) } }
        do {
            try Directory.rename(staged, to: path)
        } catch {
            unlink(staged)
            throw error
        }
        try Directory.sync(Path.parent(path))
    }
}
