import CLinux
import Glibc
import VarveFormat

/// Whose rights count when root works on somebody else's files: those of the environment's owner.
///
/// A thread of root's takes them on for the length of a call (`perform`, by the identity that the kernel checks at files
/// only: the owner can neither stop nor trace the process meanwhile); a process that is about to run libdb becomes the
/// owner for good (`becomeForGood`). Either way a link that the owner lays, or a path that he exchanges, leads to what
/// he can reach himself, and to nothing else.
package struct FileRights: Sendable, Hashable {
    package let user: UInt32
    /// That new files get.
    package let group: UInt32
    /// All that are checked at files, `group` among them.
    package let groups: [UInt32]
    /// The home is writable for somebody else than its owner, who can get to it.
    package let isOpen: Bool
    /// The home is writable for `group`: its files may be of any user of that group.
    package let isShared: Bool
    /// New files in the home get its group (set-group-ID).
    private let handsGroupOn: Bool

    /// `__db.001`
    package static let regionName = "__db.001"

    /// The owner of an open home.
    ///
    /// A home that root made for a group (`root:svn`, mode 2775) is its members', not root's: there it is the user whose
    /// regions are in it, if they are of that group and writable for it.
    ///
    /// The home's group counts where the owner is a member of it, or is not in the user database: a directory may have
    /// got its group from the one above it (set-group-ID), and that gives its owner no right.
    package init(ofEnvironment home: RootDirectory) throws(VarveError) {
        let status = try home.status()
        let isWritable = status.mode & 0o020 != 0
        var user = status.user
        if user == 0 && isWritable, let region = try? home.status(of: Self.regionName),
            region.kind == .regular, region.group == status.group, region.mode & 0o060 == 0o060,
            region.user != 0
        {
            let (groups, _) = Self.groups(of: region.user, home: status.group)
            if groups.contains(status.group) { user = region.user }
        }
        let (groups, primary) = Self.groups(of: user, home: status.group)
        let isMember = user == 0 || groups.contains(status.group)
        self.user = user
        self.groups = groups
        group = isMember ? status.group : primary
        isShared = isWritable && isMember
        isOpen = status.mode & 0o022 != 0 && Self.isReachable(home)
        handsGroupOn = status.mode & 0o2000 != 0
    }

    /// Whether others than root can get to a directory: one above it, of root's, may let nobody through. Berkeley DB's SQL
    /// interface makes its `FILE-journal/` with mode 0777, wherever it is.
    private static func isReachable(_ home: RootDirectory) -> Bool {
        var holder: File?
        var current = home.descriptor
        var below: (device: dev_t, inode: ino_t)?
        defer { withExtendedLifetime(holder) {} }
        for _ in 0..<256 {
            let above = openat(current, "..", Int32(VARVE_O_PATH) | O_DIRECTORY | O_CLOEXEC)
            guard above >= 0 else { return true }
            // Closes the one below.
            holder = File(descriptor: above, path: home.path)
            current = above
            var status = stat()
            guard fstat(above, &status) == 0 else { return true }
            if status.st_uid == 0 && status.st_mode & 0o011 == 0 { return false }
            if let below, below == (status.st_dev, status.st_ino) { return true }
            below = (status.st_dev, status.st_ino)
        }
        return true
    }

    /// Names are looked up only where root is about to become somebody: the library that does it reads files, which are
    /// the environment's own in a root directory of restored ones.
    private static func groups(of user: UInt32, home: UInt32) -> (all: [UInt32], primary: UInt32) {
        guard geteuid() == 0 else { return (ownGroups + [getegid()], getegid()) }
        if user == 0 { return (ownGroups, getegid()) }
        guard let entry = getpwuid(user) else { return ([home], home) }
        let primary = entry.pointee.pw_gid
        var count: Int32 = 256
        var groups = [gid_t](repeating: 0, count: Int(count))
        if getgrouplist(entry.pointee.pw_name, primary, &groups, &count) < 0 {
            groups = [gid_t](repeating: 0, count: Int(count))
            guard getgrouplist(entry.pointee.pw_name, primary, &groups, &count) >= 0 else {
                return ([primary], primary)
            }
        }
        return (Array(groups.prefix(Int(count))), primary)
    }

    /// Whether a file is the owner's, or of those who share the home with him.
    package func own(_ status: FileStatus) -> Bool {
        status.user == user
            || isShared && status.group == group && status.mode & 0o060 == 0o060
    }

    /// Throws `.notOwner` unless a region may be joined with these rights: libdb believes what is in it.
    package func requireOwnRegion(_ status: FileStatus, _ home: String) throws(VarveError) {
        guard own(status) else {
            throw VarveError(
                .notOwner,
                "the regions belong to user \(status.user), the environment's directory to user \(user)",
                location: home,
                hint:
                    "regions of somebody else are not joined: give the directory to the user that the application"
                    + " runs as (chown)")
        }
        guard user != 0 || !isOpen else {
            throw VarveError(
                .notOwner, "the environment belongs to root, and other users can write its directory",
                location: home,
                hint:
                    "other users could replace its regions: run 'chmod go-w \(home)', or give the directory to the"
                    + " user that the application runs as (chown)")
        }
    }

    private var isOwn: Bool { geteuid() != 0 || user == 0 }

    // MARK: A home that a group shares

    /// This process is no owner but a member of the group that shares the home, and what it makes there is the group's.
    package var isMember: Bool {
        guard geteuid() != 0, geteuid() != user, isShared else { return false }
        return getegid() == group || handsGroupOn && Self.ownGroups.contains(group)
    }

    /// Gives a file or directory that this process has just made, or that the owner once kept for himself, to the group
    /// that shares the home: the next backup may be another member's. Where none shares it, nothing happens.
    package func share(_ descriptor: Int32, _ path: String, mode: mode_t) throws(VarveError) {
        guard isShared else { return }
        var status = stat()
        try systemCall("fstat", path) { fstat(descriptor, &status) }
        guard status.st_uid == (geteuid() == 0 ? user : geteuid()) else { return }
        if status.st_gid != group { try systemCall("fchown", path) { fchown(descriptor, .max, group) } }
        if status.st_mode & 0o060 != 0o060 { try systemCall("fchmod", path) { fchmod(descriptor, mode) } }
    }

    // MARK: For a call

    /// Runs `body` with these rights, on the calling thread alone; where this process is not root's, or root is the
    /// owner, it has them already. May be nested. `body` starts no thread.
    package func perform<R: ~Copyable>(_ body: () throws(VarveError) -> R) throws(VarveError) -> R {
        // With an identity that does not exist the call fails, and tells the one that is there.
        if isOwn || varve_setfsuid(UInt32.max) == Int32(bitPattern: user) { return try body() }
        try takeOn()
        defer { Self.giveBack() }
        do {
            return try body()
        } catch var error where error.errno == EACCES || error.errno == EPERM {
            error.hint =
                "varve reads an environment with the rights of its owner: give user \(user) access (chown, chmod)"
            throw error
        }
    }

    private func takeOn() throws(VarveError) {
        let isDone =
            varve_thread_setgroups(UInt(groups.count), groups) == 0
            && {
                _ = varve_setfsgid(group)
                _ = varve_setfsuid(user)
                return varve_setfsgid(UInt32.max) == Int32(bitPattern: group)
                    && varve_setfsuid(UInt32.max) == Int32(bitPattern: user)
            }()
        guard isDone else {
            Self.giveBack()
            throw VarveError(
                .refused, "can't take on the rights of user \(user), the owner of the environment",
                hint: "run as that user, or where root may become another user (CAP_SETUID, CAP_SETGID)")
        }
    }

    /// What root had at first.
    private static let ownGroups: [UInt32] = {
        let count = getgroups(0, nil)
        guard count > 0 else { return [] }
        var groups = [gid_t](repeating: 0, count: Int(count))
        // Before the list is used: as an argument it would be filled after `groups` was taken.
        let found = getgroups(count, &groups)
        return Array(groups.prefix(Int(max(0, found))))
    }()

    private static func giveBack() {
        _ = varve_setfsuid(geteuid())
        _ = varve_setfsgid(getegid())
        _ = varve_thread_setgroups(UInt(ownGroups.count), ownGroups)
    }

    // MARK: For good

    /// Makes this process the owner's, with all of its threads and for ever; nothing that it executes gets other rights.
    /// A member of the group that shares the home stays who he is. What libdb makes in such a home, a log file above
    /// all, is then writable for the group, whatever the umask was.
    ///
    /// - Throws: `.notOwner` where this process is neither root's nor the owner's nor such a member's.
    package func becomeForGood(_ home: String) throws(VarveError) {
        _ = varve_no_new_privileges()
        if isShared { umask(umask(0o077) & ~0o070) }
        if geteuid() == user || isMember { return }
        guard geteuid() == 0 else {
            throw VarveError(
                .notOwner, "\(home) belongs to user \(user), this is user \(geteuid())",
                hint: "run as the owner of the environment, or as root")
        }
        try systemCall("setgroups", home) { setgroups(groups.count, groups) }
        try systemCall("setregid", home) { setregid(group, group) }
        try systemCall("setreuid", home) { setreuid(user, user) }
        guard setuid(0) != 0, geteuid() == user, getuid() == user else {
            throw VarveError(.notOwner, "root's rights could not be given up for \(home)")
        }
    }
}
