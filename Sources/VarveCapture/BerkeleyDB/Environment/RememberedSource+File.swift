import Glibc
import VarveFiles
import VarveFormat

/// `.varve/source` of an environment, in directories that were opened before.
///
/// The home's owner is nobody to trust: a link, a FIFO or somebody else's file in its place is passed over, and what is
/// written goes into the owner's own directory, and to the owner.
extension RememberedSource {
    /// Nil if there is none, or none that can be believed to be the owner's.
    static func read(home: String) -> RememberedSource? {
        (try? readOwn(home: home)) ?? nil
    }

    private static func readOwn(home: String) throws(VarveError) -> RememberedSource? {
        let owner = try openHome(home).status()
        let directory = try openDirectory(home, owner)
        let path = "\(home)/.varve/\(fileName)"
        let descriptor = try systemCall("openat", path) {
            openat(
                directory.descriptor, fileName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        }
        let file = File(descriptor: descriptor, path: path)
        let status = try file.status()
        guard status.kind == .regular, status.user == owner.user else { return nil }
        return RememberedSource(try file.readAll(limit: maximumLength))
    }

    /// Durable when it returns true; false where it can't be written.
    func write(home: String) -> Bool {
        do {
            let owner = try Self.openHome(home).status()
            let directory = try Self.openDirectory(home, owner)
            let temporary = "\(Self.fileName).\(Path.randomName()).tmp"
            let path = "\(home)/.varve/\(temporary)"
            let descriptor = try systemCall("openat", path) {
                openat(
                    directory.descriptor, temporary,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
            }
            let file = File(descriptor: descriptor, path: path)
            do {
                if try file.status().user != owner.user {
                    try file.setOwner(user: owner.user, group: owner.group)
                }
                try encoded().withBytes { (bytes) throws(VarveError) in try file.write(bytes) }
                try file.sync()
                try systemCall("renameat", path) {
                    renameat(directory.descriptor, temporary, directory.descriptor, Self.fileName)
                }
            } catch {
                unlinkat(directory.descriptor, temporary, 0)
                throw error
            }
            try directory.sync()
            return true
        } catch {
            return false
        }
    }

    private static func openHome(_ home: String) throws(VarveError) -> File {
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK
        return File(descriptor: try systemCall("open", home) { open(home, flags) }, path: home)
    }

    /// `.varve`, if it is a directory of the home's owner.
    private static func openDirectory(_ home: String, _ owner: FileStatus) throws(VarveError) -> File {
        let opened = try openHome(home)
        let path = "\(home)/.varve"
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW
        let descriptor = try systemCall("openat", path) { openat(opened.descriptor, ".varve", flags) }
        let directory = File(descriptor: descriptor, path: path)
        let (ours, theirs) = (try opened.status(), try directory.status())
        guard ours.user == owner.user, theirs.user == owner.user else {
            throw VarveError(.refused, "\(path) is somebody else's")
        }
        return directory
    }
}
