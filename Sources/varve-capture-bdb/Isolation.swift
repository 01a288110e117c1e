import CLinux
import Glibc
import VarveFiles
import VarveFormat

/// A mount namespace in which names of a live environment lead to its restored copy, or nowhere.
///
/// Logs hold names, and recovery opens what they name. Here an absolute name finds what a cover says, and should one
/// be unknown, nothing but the scratch directory can be written. It ends with the process.
enum Isolation {
    /// - Returns: the paths that were there to be covered, or could be made beneath one that was.
    /// - Throws: `.noIsolation` if any of it can't be done; then the process is of no use any more.
    static func enter(scratch: String, covers: [CaptureCover]) throws -> [String] {
        do {
            return try cover(scratch, covers)
        } catch {
            throw VarveError(.noIsolation, "live paths can't be covered: \(error)")
        }
    }

    private static func cover(_ scratch: String, _ covers: [CaptureCover]) throws -> [String] {
        try systemCall("unshare", "a mount namespace") { varve_unshare(Int32(VARVE_CLONE_NEWNS)) }
        // Nothing of what follows shows outside.
        try mount(nil, "/", nil, VARVE_MS_REC | VARVE_MS_PRIVATE)
        try mount(scratch, scratch, nil, VARVE_MS_BIND)
        var covered: [String] = []
        var writable = [scratch]
        // Parents first, or they would cover what lies beneath them.
        for cover in covers.sorted(by: { $0.path < $1.path }) {
            if try FileStatus.of(cover.path) == nil {
                guard covered.contains(where: { cover.path.hasPrefix($0 + "/") }) else { continue }
                try makeAll(cover.path)
            }
            if let source = cover.source {
                try mount(source, cover.path, nil, VARVE_MS_BIND)
                writable.append(cover.path)
            } else {
                let flags = VARVE_MS_NOSUID | VARVE_MS_NODEV | VARVE_MS_NOEXEC
                try mount("varve", cover.path, "tmpfs", flags, "size=1m,mode=755")
            }
            covered.append(cover.path)
        }
        try setReadOnly("/", true, recursive: true)
        for path in writable { try setReadOnly(path, false, recursive: false) }
        return covered
    }

    private static func makeAll(_ path: String) throws {
        if try FileStatus.of(path) != nil { return }
        try makeAll(Path.parent(path))
        try Directory.create(path, mode: 0o755)
    }

    private static func mount(
        _ source: String?, _ target: String, _ type: String?, _ flags: Int, _ options: String? = nil
    ) throws {
        try systemCall("mount", target) { varve_mount(source, target, type, UInt(flags), options) }
    }

    private static func setReadOnly(_ path: String, _ isReadOnly: Bool, recursive: Bool) throws {
        try systemCall("mount_setattr", path) {
            varve_mount_set_read_only(path, isReadOnly ? 1 : 0, recursive ? 1 : 0)
        }
    }
}
