import Glibc
import VarveFormat

/// A file that a process has mapped, as `/proc/<pid>/maps` shows it.
package struct MappedFile: Sendable, Hashable {
    package var process: Int32
    /// On some file systems (btrfs, overlayfs) the device that is shown with it is not the one of `stat`; so the number
    /// alone tells the file.
    package var inode: UInt64
    /// It has no name any more.
    package var isDeleted: Bool

    /// Every mapping of a file with this name, whatever directory it is in, once for each process and file.
    ///
    /// A hardened kernel hides the mappings of some processes from root, too. Such a one is not hidden if its open files
    /// can be seen, and `isRelated` is true for none of their paths.
    /// - Returns: those that can be seen, and how many processes this user may not look into.
    package static func find(
        named name: String, _ isRelated: (String) -> Bool
    ) throws(VarveError) -> (found: Set<MappedFile>, hiddenProcesses: Int) {
        var found: Set<MappedFile> = []
        var hidden = 0
        for entry in try Directory.list("/proc") {
            guard let process = Int32(entry) else { continue }
            do {
                found.formUnion(try of(process, named: name))
            } catch let error where error.errno == EACCES || error.errno == EPERM {
                if try isHidden(process, isRelated) { hidden += 1 }
            } catch let error where error.isNoEntry || error.errno == ESRCH {
                continue
            }
        }
        return (found, hidden)
    }

    private static func isHidden(_ process: Int32, _ isRelated: (String) -> Bool) throws(VarveError) -> Bool {
        let directory = "/proc/\(process)/fd"
        guard let names = try? Directory.list(directory) else {
            return try FileStatus.of("/proc/\(process)") != nil
        }
        return names.contains { name in
            guard let target = try? Path.resolve(Path.join(directory, name)) else { return false }
            return isRelated(target)
        }
    }

    /// Those of one process.
    package static func of(_ process: Int32, named name: String) throws(VarveError) -> Set<MappedFile> {
        let file = try File.open(reading: "/proc/\(process)/maps")
        let text = String(decoding: try file.readToEnd(limit: 64 << 20), as: UTF8.self)
        return Set(
            text.utf8.split(separator: UInt8(ascii: "\n")).compactMap { parse(Substring($0), process, name) })
    }

    /// address perms offset major:minor inode path
    static func parse(_ line: Substring, _ process: Int32, _ name: String) -> MappedFile? {
        let deleted = " (deleted)"
        let isDeleted = line.hasSuffix(deleted)
        let path = isDeleted ? line.dropLast(deleted.count) : line
        guard path.hasSuffix("/" + name) else { return nil }
        let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
        guard fields.count == 6, let inode = UInt64(fields[4]), inode != 0 else { return nil }
        return MappedFile(process: process, inode: inode, isDeleted: isDeleted)
    }
}
