import CLinux
import Glibc
import VarveFormat

/// Makes an immutable file appear under its final name all at once, durably, or not at all.
public enum Publication {
    /// Writes `parts` to `directory/name` by way of a new file in `temporary`, on the same file system:
    /// write, `fsync`, `rename` without replacing, `fsync` of the directory. Returns only when all four are
    /// done; on any error the temporary file is removed and nothing counts.
    ///
    /// - Returns: false if the name was there already; the caller decides whether what is there is good.
    public static func publish(
        _ parts: [UnsafeRawBufferPointer], name: String, in directory: String, temporary: String,
        mode: mode_t = 0o400
    ) throws -> Bool {
        let staged = Path.join(
            temporary, "\(name.prefix(16)).\(String(UInt64.random(in: 0 ... .max), radix: 36))")
        do {
            try stage(parts, at: staged, mode: mode)
        } catch let error as VarveError where error.errno == EIO {
            // A failed write-back loses the pages: write them again, to a new file, once.
            try stage(parts, at: staged, mode: mode)
        }
        let target = Path.join(directory, name)
        let isNew: Bool
        do {
            isNew = try renameWithoutReplacing(staged, to: target)
            if !isNew { try Directory.removeFile(staged) }
        } catch {
            unlink(staged)
            throw error
        }
        try Directory.sync(directory)
        return isNew
    }

    private static func stage(_ parts: [UnsafeRawBufferPointer], at path: String, mode: mode_t) throws {
        let file = try File.create(path, mode: mode)
        do {
            for part in parts { try file.write(part) }
            try file.sync()
            try file.close()
        } catch {
            unlink(path)
            throw error
        }
    }

    /// `renameat2(RENAME_NOREPLACE)`; where the file system has no such thing, link and unlink.
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
            }
            try Directory.removeFile(from)
            return true
        }
    }

    /// Replaces a small mutable file (a state file, never an object): new content or old content, never a mix.
    public static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o600) throws {
        let staged = path + ".\(String(UInt64.random(in: 0 ... .max), radix: 36)).tmp"
        try bytes.withUnsafeBytes { try stage([$0], at: staged, mode: mode) }
        do {
            try Directory.rename(staged, to: path)
        } catch {
            unlink(staged)
            throw error
        }
        try Directory.sync(Path.parent(path))
    }
}
