import CLinux
import Glibc
import VarveFormat

extension RootDirectory {
    package func setMode(_ mode: mode_t) throws(VarveError) { try file.setMode(mode) }

    package func setOwner(user: UInt32, group: UInt32) throws(VarveError) {
        try file.setOwner(user: user, group: group)
    }

    package func setModified(_ time: Timestamp) throws(VarveError) { try file.setModified(time) }

    /// Whatever it leads to need not be there.
    package func makeSymbolicLink(_ name: String, to target: String) throws(VarveError) {
        try withParent(of: name) { (parent, leaf) throws(VarveError) in
            try call("symlinkat", name) { symlinkat(target, parent, leaf) }
        }
    }

    /// Bytes that a user who is not root can still write to its file system; nil where that can't be told.
    package var availableBytes: UInt64? {
        var bytes: UInt64 = 0
        return varve_available_bytes_of(descriptor, &bytes) == 0 ? bytes : nil
    }

    /// Whether the directory of this name is where a file system, or a part of one, is mounted. Where the kernel does not
    /// say, another device than that of the directory that it is in tells.
    package func isMountPoint(_ name: String) throws(VarveError) -> Bool {
        guard let status = try status(of: name), status.kind == .directory else { return false }
        return try withParent(of: name) { (parent, leaf) throws(VarveError) in
            let answer = varve_is_mount_root(parent, leaf)
            if answer >= 0 { return answer == 1 }
            var value = stat()
            try call("fstatat", name) { fstatat(parent, "", &value, Int32(VARVE_AT_EMPTY_PATH)) }
            return FileStatus(value).device != status.device
        }
    }
}
