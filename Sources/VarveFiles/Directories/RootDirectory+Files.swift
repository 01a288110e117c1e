import CLinux
import Glibc
import VarveFormat

extension RootDirectory {
    /// Opens a regular file for reading. What is none (a directory, a named pipe, a socket, a device) throws `.refused`
    /// at once and by what it is: nothing here waits for a writer.
    package func open(reading name: String, direct: Bool = false) throws(VarveError) -> File {
        let flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | (direct ? Int32(VARVE_O_DIRECT) : 0)
        return try openRegular(name, flags)
    }

    /// Opens a regular file for reading and writing, creating an empty one if there is none.
    package func open(updating name: String, mode: mode_t = 0o600, creating: Bool = true) throws(VarveError)
        -> File
    {
        let flags = O_RDWR | O_NONBLOCK | O_NOCTTY | (creating ? O_CREAT : 0)
        return try openRegular(name, flags, mode: mode)
    }

    /// Creates a file that must not be there.
    package func create(_ name: String, mode: mode_t = 0o600) throws(VarveError) -> File {
        try Self.checked(name, in: self)
        let opened = try open(name, O_RDWR | O_CREAT | O_EXCL, mode: mode)
        return File(descriptor: opened, path: Path.join(path, name))
    }

    private func openRegular(_ name: String, _ flags: Int32, mode: mode_t = 0) throws(VarveError) -> File {
        try Self.checked(name, in: self)
        let full = Path.join(path, name)
        // Opening a device does something to some of them: look first. What counts is the second look.
        if let before = try status(of: name), before.kind != .symbolicLink {
            try before.requireRegular(full)
        }
        let opened: Int32
        do {
            opened = try open(name, flags, mode: mode)
        } catch let error where error.errno == ENXIO || error.errno == EISDIR {
            // A socket; a directory that is opened for writing.
            try status(of: name)?.requireRegular(full)
            throw error
        }
        let file = File(descriptor: opened, path: full)
        try file.status().requireRegular(full)
        return file
    }

    /// "." is the directory itself, which is no file.
    private static func checked(_ name: String, in root: RootDirectory) throws(VarveError) {
        _ = try components(name, in: root.path)
    }

    /// The whole content of a small file; refuses more than `limit` bytes. Nil if there is none.
    package func read(_ name: String, limit: Int) throws(VarveError) -> [UInt8]? {
        do {
            return try open(reading: name).readAll(limit: limit)
        } catch let error where error.isNoEntry {
            return nil
        }
    }

    /// Replaces a small mutable file: new content or old content, never a mix; durable when it returns.
    ///
    /// - Parameter owner: whose the new file is; nil: this process's user.
    package func replace(
        _ name: String, with bytes: [UInt8], mode: mode_t = 0o600, owner: (user: UInt32, group: UInt32)? = nil
    ) throws(VarveError) {
        let staged = "\(name).\(Path.randomName()).tmp"
        let file = try create(staged, mode: mode)
        do {
            if let owner { try file.setOwner(user: owner.user, group: owner.group) }
            try bytes.withBytes { (bytes) throws(VarveError) in try file.write(bytes) }
            try file.sync()
            try file.close()
            try rename(staged, to: name)
        } catch {
            Notices.cleanUp(.warning, Path.join(path, staged)) { try unlink(staged) }
            throw error
        }
        try syncParent(of: name)
    }

    /// Makes the name durable: of the directory that it is in.
    package func syncParent(of name: String) throws(VarveError) {
        let components = try Self.components(name, in: path)
        guard components.count > 1 else { return try sync() }
        try directory(components.dropLast().joined(separator: "/")).sync()
    }
}

extension FileStatus {
    /// Throws `.refused` for what is no regular file, by what it is.
    package func requireRegular(_ path: String) throws(VarveError) {
        guard kind != .regular else { return }
        throw VarveError(
            .refused, "expected a file, found \(kindName)", location: path,
            hint: "find out who made it and what for, and remove it")
    }

    /// `a named pipe`
    package var kindName: String {
        switch type {
        case UInt32(S_IFREG): "a file"
        case UInt32(S_IFDIR): "a directory"
        case UInt32(S_IFLNK): "a symbolic link"
        case UInt32(S_IFIFO): "a named pipe"
        case UInt32(S_IFSOCK): "a socket"
        case UInt32(S_IFBLK), UInt32(S_IFCHR): "a device"
        default: "something unknown"
        }
    }
}
