import CLinux
import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// A directory that is all there is to this process.
///
/// Logs and `DB_CONFIG` hold names, and recovery opens what they name. Here they lead to restored files, or nowhere.
/// The root directory is changed, and nothing is mounted: that works in a chroot and in a container, and with a user
/// namespace also for those who are not root.
enum Confinement {
    /// - Parameter home: an absolute path in there. The process becomes its owner.
    /// - Throws: `.noIsolation` if any of it can't be done; then the process is of no use any more.
    static func enter(home: String) throws(VarveError) {
        do {
            try change(home)
        } catch {
            throw VarveError(.noIsolation, "recovery can't be confined to the restored files: \(error)")
        }
    }

    private static func change(_ home: String) throws(VarveError) {
        let root = CaptureProtocol.Descriptor.root
        let user = geteuid()
        var owner = stat()
        let name = String(home.drop { $0 == "/" })
        try systemCall("fstatat", home) { fstatat(root, name, &owner, AT_SYMLINK_NOFOLLOW) }
        try systemCall("fchdir", "the root directory") { fchdir(root) }
        if varve_chroot(".") != 0 {
            // Without the right to: in a user namespace of one's own everybody has it.
            try systemCall("unshare", "a user namespace") { varve_unshare(Int32(VARVE_CLONE_NEWUSER)) }
            try systemCall("chroot", "the root directory") { varve_chroot(".") }
        }
        try systemCall("chdir", "/") { chdir("/") }
        close(root)
        if user == owner.st_uid { return }
        // No names are looked up from here on: the restored files are all there is, and they could lie.
        var group = owner.st_gid
        try systemCall("setgroups", home) { setgroups(1, &group) }
        try systemCall("setregid", home) { setregid(group, group) }
        try systemCall("setreuid", home) { setreuid(owner.st_uid, owner.st_uid) }
        guard setuid(0) != 0 else {
            throw VarveError(.notOwner, "root's rights could not be given up for \(home)")
        }
    }
}
