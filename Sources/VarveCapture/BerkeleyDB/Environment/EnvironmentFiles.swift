import Glibc
import VarveDatabase
import VarveFiles
import VarveFormat

/// The only way to the files of an environment: from its home, opened once, and with the rights of its owner.
///
/// Whoever owns an environment may exchange any of its files and directories, at any moment, for links to what only
/// root may read or change. Here every call is made as the owner (`FileRights`), so that it reaches what he could reach
/// himself. What leads beneath the home begins at its descriptor, whatever the home's path leads to by then.
///
/// Where root is the owner, files are reached component by component, and a symbolic link is followed only if it is
/// root's: in a home or data directory that others can write, theirs lead nowhere.
///
/// What is opened for reading is a regular file, and opening it never waits. Paths are absolute.
package final class EnvironmentFiles: Sendable {
    /// Absolute, without symbolic links.
    package let home: String
    /// The home. To be used within `perform`.
    package let root: RootDirectory
    package let rights: FileRights
    private let isGuarded: Bool

    /// - Throws: `.noEnvironment` if there is no directory of this path.
    package init(home path: String) throws(VarveError) {
        do {
            root = try Self.openHome(path)
        } catch let error where error.errno == ENOENT {
            throw VarveError(
                .noEnvironment, "there is no environment: the directory does not exist", location: path,
                hint: "name the environment's home (DB_HOME), where its regions or logs are")
        } catch let error where error.errno == ENOTDIR {
            throw VarveError(
                .noEnvironment, "there is no environment: this is not a directory", location: path,
                hint:
                    "name the environment's home (DB_HOME), not a file in it; --only selects single databases"
            )
        }
        home = try Path.resolve(path)
        let status = try root.status()
        let named = try FileStatus.of(home)
        guard let named, (named.device, named.inode) == (status.device, status.inode) else {
            throw VarveError(
                .refused, "the home was replaced by another directory meanwhile", location: path,
                hint: "find out which program replaces the home, then run the same command again")
        }
        rights = try FileRights(ofEnvironment: root)
        isGuarded = geteuid() == 0 && rights.user == 0
    }

    /// Runs `body` as the owner.
    package func perform<R: ~Copyable>(_ body: () throws(VarveError) -> R) throws(VarveError) -> R {
        try rights.perform(body)
    }

    /// Nil if there is nothing at the path.
    package func status(_ path: String, followLinks: Bool = true) throws(VarveError) -> FileStatus? {
        do {
            return try reach(path, followLinks) { (directory, name, isFollowing) throws(VarveError) in
                var value = stat()
                let flags = isFollowing ? 0 : AT_SYMLINK_NOFOLLOW
                try systemCall("stat", path) { fstatat(directory, name, &value, flags) }
                return FileStatus(value)
            }
        } catch let error where error.isNoEntry {
            return nil
        }
    }

    /// Opens a regular file; anything else is refused at once.
    package func open(reading path: String, followLinks: Bool = true) throws(VarveError) -> File {
        try reach(path, followLinks) { (directory, name, isFollowing) throws(VarveError) in
            var value = stat()
            // Opening a device does something to some of them: look first. What counts is the second look.
            if fstatat(directory, name, &value, isFollowing ? 0 : AT_SYMLINK_NOFOLLOW) == 0 {
                try FileStatus(value).requireRegular(path)
            }
            let flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (isFollowing ? 0 : O_NOFOLLOW)
            let file = File(
                descriptor: try systemCall("open", path) { openat(directory, name, flags) }, path: path)
            try file.status().requireRegular(path)
            return file
        }
    }

    /// To be used within `perform`.
    package func directory(_ path: String) throws(VarveError) -> RootDirectory {
        try reach(path, true) { (directory, name, isFollowing) throws(VarveError) in
            let flags =
                O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC | (isFollowing ? 0 : O_NOFOLLOW)
            return RootDirectory(
                taking: File(
                    descriptor: try systemCall("open", path) { openat(directory, name, flags) }, path: path))
        }
    }

    /// Names in the directory without "." and "..", sorted by their bytes.
    package func list(_ path: String) throws(VarveError) -> [String] {
        let directory = try directory(path)
        return try perform { () throws(VarveError) in try directory.names() }
    }

    /// Absolute, without symbolic links; throws if a component is missing.
    package func resolve(_ path: String) throws(VarveError) -> String {
        try perform { () throws(VarveError) in try Path.resolve(path) }
    }

    package func fileSystemType(_ path: String) throws(VarveError) -> FileSystemType {
        try perform { () throws(VarveError) in try FileSystemType.of(path) }
    }

    package func watch(_ path: String) -> DirectoryWatch? {
        try? perform { () throws(VarveError) in
            guard let watch = DirectoryWatch(path) else {
                throw SystemCallError(call: "inotify_add_watch", path: path, errno: ENOSPC).error
            }
            return watch
        }
    }

    // MARK: The way

    /// Runs `body`, as the owner, with a directory, a name to be used there, and whether a link of that name is to be
    /// followed.
    private func reach<R: ~Copyable>(
        _ path: String, _ followLinks: Bool, _ body: (Int32, String, Bool) throws(VarveError) -> R
    ) throws(VarveError) -> R {
        try perform { () throws(VarveError) in
            if isGuarded {
                let place = try walk(path, followLinks)
                return try body(place.directory.descriptor, place.name, false)
            }
            if let inner = beneathHome(path) { return try body(root.descriptor, inner, followLinks) }
            return try body(AT_FDCWD, path, followLinks)
        }
    }

    /// Relative to the home; nil if the path leads elsewhere.
    private func beneathHome(_ path: String) -> String? {
        // By bytes: names that differ in how their accents are composed are two directories and one Swift string.
        if path.utf8.elementsEqual(home.utf8) { return "." }
        let prefix = (home == "/" ? "/" : home + "/").utf8
        guard path.utf8.starts(with: prefix), path.utf8.count > prefix.count else { return nil }
        return String(Substring(path.utf8.dropFirst(prefix.count)))
    }

    /// Links are root's, or not followed.
    private func walk(_ path: String, _ followLinks: Bool) throws(VarveError) -> PathWalk.Place {
        let inner = beneathHome(path)
        return try PathWalk.find(
            inner ?? path, from: inner == nil ? nil : root.descriptor, followsLast: followLinks
        ) { (link) throws(VarveError) in
            guard link.user != 0 else { return }
            throw VarveError(
                .refused, "root does not follow a symbolic link of user \(link.user)", location: path,
                hint: "the environment belongs to root: remove the link, or replace the link with its target",
                errno: ELOOP)
        }
    }

    /// Root goes where a link of the environment's owner leads to a home of his, and not to somebody else's.
    private static func openHome(_ path: String) throws(VarveError) -> RootDirectory {
        guard geteuid() == 0 else { return try RootDirectory(path) }
        var owners: Set<UInt32> = []
        let place = try PathWalk.find(path) { if $0.user != 0 { owners.insert($0.user) } }
        let flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW
        let (directory, name) = (place.directory.descriptor, place.name)
        let root = RootDirectory(
            taking: File(
                descriptor: try systemCall("open", path) { openat(directory, name, flags) }, path: path))
        let user = try root.status().user
        if let other = owners.first(where: { $0 != user }) {
            throw VarveError(
                .refused, "a symbolic link of user \(other) leads to a directory of user \(user)",
                location: path,
                hint: "root does not follow it: name the environment's home itself", errno: ELOOP)
        }
        return root
    }
}

extension EnvironmentFiles {
    /// Makes a directory of ours, in the home or in that of the logs: for the owner alone, or for the group that shares
    /// the home. To be used within `perform`. False if it was there.
    @discardableResult
    func makeOwnDirectory(_ name: String, in parent: RootDirectory) throws(VarveError) -> Bool {
        let isNew = try parent.makeDirectory(name)
        let directory = try parent.directory(name)
        try rights.share(directory.descriptor, directory.path, mode: 0o2770)
        return isNew
    }

    /// A state file of ours in `.varve`: the owner's alone, with one name, so that what is written to it is written to
    /// nothing else.
    func requireOwn(_ file: borrowing File) throws(VarveError) {
        let status = try file.status()
        guard rights.own(status) || status.user == geteuid(), status.links <= 1 else {
            throw VarveError(
                .refused,
                "the file belongs to user \(status.user) or has several hard links: it is not a file of varve",
                location: file.path, hint: "find out who made the file, and remove it while no backup runs")
        }
    }
}
