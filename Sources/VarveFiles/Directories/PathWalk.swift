import CLinux
import Glibc
import VarveFormat

/// A path walked component by component, with a say in each symbolic link: what the kernel follows by itself, root must
/// not follow where others may have laid it.
package enum PathWalk {
    /// The directory that the path's last component is in, open, and that component: to be used without following links.
    package struct Place: ~Copyable {
        package let directory: File
        package let name: String
    }

    /// As Linux has it (`path_resolution(7)`).
    private static let linkLimit = 40

    /// - Parameters:
    ///   - directory: where a relative path begins; nil for the working directory.
    ///   - followsLast: a link that is the last component is followed, too; then the name that comes out is none.
    ///   - mayFollow: is told what each link is (whose, above all) before it is followed, and throws if it must not be.
    package static func find(
        _ path: String, from directory: Int32? = nil, followsLast: Bool = true,
        mayFollow: (FileStatus) throws(VarveError) -> Void
    ) throws(VarveError) -> Place {
        let flags = Int32(VARVE_O_PATH) | O_NOFOLLOW | O_CLOEXEC
        func begin(_ directory: Int32, _ name: String) throws(VarveError) -> File {
            File(
                descriptor: try systemCall("open", path) { openat(directory, name, flags | O_DIRECTORY) },
                path: path)
        }
        func components(_ text: String) -> [String] {
            // By bytes: to Swift a slash and an accent behind it are one character.
            text.utf8.split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual(".".utf8) }
                .map { String(Substring($0)) }.reversed()
        }
        var current = try begin(directory ?? AT_FDCWD, path.utf8.first == UInt8(ascii: "/") ? "/" : ".")
        var waiting = components(path)
        var links = 0
        while let name = waiting.popLast() {
            if waiting.isEmpty && !followsLast { return Place(directory: current, name: name) }
            let above = current.descriptor
            let opened = File(
                descriptor: try systemCall("open", path) { openat(above, name, flags) }, path: path)
            let status = try opened.status()
            guard status.kind == .symbolicLink else {
                if waiting.isEmpty { return Place(directory: current, name: name) }
                current = opened
                continue
            }
            links += 1
            guard links <= linkLimit else {
                throw SystemCallError(call: "open", path: path, errno: ELOOP).error
            }
            try mayFollow(status)
            let target = try opened.linkTarget()
            if target.utf8.first == UInt8(ascii: "/") { current = try begin(AT_FDCWD, "/") }
            waiting += components(target)
        }
        return Place(directory: current, name: ".")
    }
}
