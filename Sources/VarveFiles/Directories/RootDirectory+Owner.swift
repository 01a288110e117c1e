import Glibc
import VarveFormat

/// What root makes beneath a directory belongs to whoever owns the directory that it lies in: that user must be able to
/// read it. Where the file system knows no owners, or lets root give nothing away, it stays as it is.
extension RootDirectory {
    /// Creates a file that must not be there.
    package func create(forOwner name: String, mode: mode_t = 0o600) throws(VarveError) -> File {
        let file = try create(name, mode: mode)
        guard Host.isRoot else { return file }
        // The directory is asked that the name led to; that it is another one by now gives a file to another user of the
        // same tree at worst, and this one is empty.
        let parent = try status(of: Publication.parent(name))
        let owner = if let parent { parent } else { try status() }
        let made = try file.status()
        if (owner.user, owner.group) != (made.user, made.group) {
            fchown(file.descriptor, owner.user, owner.group)
        }
        return file
    }

    /// Makes one directory; one that is there already is fine.
    ///
    /// - Returns: whether it is new.
    @discardableResult
    package func makeDirectory(forOwner name: String, mode: mode_t = 0o700) throws(VarveError) -> Bool {
        guard try makeDirectory(name, mode: mode) else { return false }
        guard Host.isRoot else { return true }
        let made = try directory(name)
        let parent = try status(of: Publication.parent(name))
        let owner = if let parent { parent } else { try status() }
        let status = try made.status()
        // Empty, and root's own: not one that was put there meanwhile.
        if status.user == 0, status.links <= 2, (owner.user, owner.group) != (status.user, status.group) {
            fchown(made.descriptor, owner.user, owner.group)
        }
        return true
    }

    /// Opens a file for reading and writing, creating an empty one if there is none.
    package func open(updatingForOwner name: String, mode: mode_t = 0o600) throws(VarveError) -> File {
        if try status(of: name) == nil {
            do {
                return try create(forOwner: name, mode: mode)
            } catch let error where error.errno == EEXIST {}
        }
        return try open(updating: name, mode: mode, creating: false)
    }

    /// A new file for what is too large for memory; its name goes at once, and its bytes with the last descriptor.
    package func scratch(in directory: String) throws(VarveError) -> File {
        let name = Publication.join(directory, Path.randomName())
        let file = try create(name)
        try unlink(name)
        return file
    }
}
