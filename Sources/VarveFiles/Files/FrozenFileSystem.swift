import CLinux
import Glibc
import VarveFormat

/// Tells file systems that nobody can write to, such as a mounted snapshot, from those that only we may not write to.
package enum FrozenFileSystem {
    /// Whether nobody, on this machine or another, can change what lies at the path: the file system itself is
    /// read-only and local, or it is a read-only subvolume of btrfs.
    ///
    /// A read-only mount of a file system that is writable elsewhere, as a container or a bind mount has it, does not
    /// count, nor does one of the network.
    package static func holds(_ path: String) throws(VarveError) -> Bool {
        let flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
        let file = File(descriptor: try systemCall("open", path) { open(path, flags) }, path: path)
        guard let mount = try mount(of: file) else { return false }
        if mount.isFrozen { return true }
        // As root, and on a mount that may be written to: only the subvolume itself says EROFS.
        return mount.type == "btrfs" && !mount.isReadOnly && access(path, W_OK) != 0 && errno == EROFS
    }

    private static func mount(of file: borrowing File) throws(VarveError) -> Mount? {
        let facts = try text("/proc/self/fdinfo/\(file.descriptor)", limit: 1 << 16)
        let line = facts.split(separator: "\n").first { $0.hasPrefix("mnt_id:") }
        guard let number = line?.dropFirst(7).split(whereSeparator: \.isWhitespace).first else { return nil }
        return try text("/proc/self/mountinfo", limit: 64 << 20).split(separator: "\n").lazy
            .compactMap(Mount.init).first { $0.identifier == number }
    }

    private static func text(_ path: String, limit: Int) throws(VarveError) -> String {
        String(decoding: try File.open(reading: path).readToEnd(limit: limit), as: UTF8.self)
    }

    /// A line of `/proc/self/mountinfo` (proc(5)).
    struct Mount {
        var identifier: Substring
        var major: Substring
        /// This mount, whatever the file system is.
        var isReadOnly: Bool
        var type: Substring
        /// The file system itself.
        var isFileSystemReadOnly: Bool

        init?(_ line: Substring) {
            let words = line.split(separator: " ")
            guard words.count >= 10, let dash = words.firstIndex(of: "-"), dash >= 6, dash + 3 < words.count
            else {
                return nil
            }
            identifier = words[0]
            major = words[2].prefix { $0 != ":" }
            isReadOnly = words[5].split(separator: ",").contains("ro")
            type = words[dash + 1]
            isFileSystemReadOnly = words[dash + 3].split(separator: ",").first == "ro"
        }

        /// On a disk, which no other machine has mounted. Without a disk (major number 0) it is of the network, of
        /// another program or a layer over others, but for these two.
        private var isLocal: Bool {
            if ["gfs2", "ocfs2", "fuseblk"].contains(type) { return false }
            return major != "0" || type == "btrfs" || type == "zfs"
        }

        var isFrozen: Bool { isFileSystemReadOnly && isLocal }
    }
}
