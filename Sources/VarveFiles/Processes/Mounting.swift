import VarveFormat

/// Tells one mounting of a file system from the next.
///
/// A crash may keep what was written and lose the times of the write: `fdatasync` forces data and not times, and the
/// journal commits those up to seconds later (tried on XFS and ext4: after a cut, new content with the old size,
/// inode, `mtime` and `ctime`). Within one mounting the times in memory count, and they are right.
package enum Mounting {
    /// XFS and ext4 have a directory in sysfs from mount to unmount, whose inode number is not used again while the
    /// machine runs. It is the same in every mount namespace.
    ///
    /// - Returns: nil on any other file system, and where sysfs can't be read.
    package static func identifier(of path: String, device: UInt64) -> String? {
        // Not worth failing for: what can't be told apart is read.
        try? find(path, device)
    }

    private static func find(_ path: String, _ device: UInt64) throws(VarveError) -> String? {
        guard let kind = try FileSystemType.of(path).systemDirectory else { return nil }
        let (major, minor) = Self.numbers(device)
        let link = "/sys/dev/block/\(major):\(minor)"
        guard try FileStatus.of(link) != nil, let boot = try bootIdentifier() else { return nil }
        let name = Path.name(try Path.resolve(link))
        guard let status = try FileStatus.of("/sys/fs/\(kind)/\(name)") else { return nil }
        return "\(boot)/\(kind)/\(status.inode)"
    }

    /// As `gnu_dev_major` and `gnu_dev_minor` take a device number apart (`makedev(3)`).
    static func numbers(_ device: UInt64) -> (major: UInt64, minor: UInt64) {
        ((device >> 8) & 0xfff | (device >> 32) & ~0xfff, device & 0xff | (device >> 12) & ~0xff)
    }

    private static func bootIdentifier() throws(VarveError) -> String? {
        let file = try File.open(reading: "/proc/sys/kernel/random/boot_id")
        let text = String(decoding: try file.readToEnd(limit: 64), as: UTF8.self)
        return text.split(whereSeparator: \.isWhitespace).first.map(String.init)
    }
}

extension FileSystemType {
    /// `EXT4_SUPER_MAGIC`, which ext2 and ext3 have too.
    package static let ext4 = FileSystemType(rawValue: 0xEF53)

    /// Beneath `/sys/fs`.
    fileprivate var systemDirectory: String? {
        switch self {
        case .xfs: "xfs"
        case .ext4: "ext4"
        default: nil
        }
    }
}
