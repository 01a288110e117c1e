import CLinux
import Glibc
import Synchronization
import VarveFormat

/// An open directory, and the only door to what lies beneath it: everything is named relative to it, and no name leads
/// out of it or through a symbolic link, whatever others do to the tree meanwhile.
///
/// Checking a path and then using it gives whoever can write a directory on the way the time to exchange it, and a
/// process of root's goes where it is led. Here a name is resolved once, by the kernel, from the descriptor on.
///
/// Names are relative, with "/" between components; none is empty, "." or "..", and each has at most 255 bytes. Where
/// the directory itself is meant, the name is ".". A symbolic link anywhere in a name throws `.refused` (`ELOOP`).
package final class RootDirectory: Sendable {
    /// How names are resolved.
    package enum Resolution: Sendable {
        /// By `openat2`; where the kernel or a filter of system calls does not allow it, by `walk`.
        case kernel
        /// Component by component, none of which may be a link.
        case walk
    }

    /// Which directory it is, by whatever name.
    package struct DirectoryIdentity: Sendable, Hashable {
        package var device: UInt64
        package var inode: UInt64

        package init(device: UInt64, inode: UInt64) {
            self.device = device
            self.inode = inode
        }
    }

    let file: File
    let resolution: Resolution

    /// As it was opened, for messages.
    package var path: String { file.path }
    /// For calls that take a directory's descriptor; it stays this object's.
    package var descriptor: Int32 { file.descriptor }

    /// Opens a directory that the user named: links in this path are followed, they are the user's word.
    package init(_ path: String, resolution: Resolution = .kernel) throws(VarveError) {
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK
        file = File(descriptor: try systemCall("open", path) { Glibc.open(path, flags) }, path: path)
        self.resolution = resolution
    }

    /// Takes over an open descriptor of a directory.
    package init(taking file: consuming File, resolution: Resolution = .kernel) {
        self.file = file
        self.resolution = resolution
    }

    /// The directory of this name, opened beneath this one.
    package func directory(_ name: String) throws(VarveError) -> RootDirectory {
        let opened = try open(name, O_RDONLY | O_DIRECTORY | O_NONBLOCK)
        return RootDirectory(
            taking: File(descriptor: opened, path: Path.join(path, name)), resolution: resolution)
    }

    package func identity() throws(VarveError) -> DirectoryIdentity {
        let status = try file.status()
        return DirectoryIdentity(device: status.device, inode: status.inode)
    }

    /// Of the directory itself.
    package func status() throws(VarveError) -> FileStatus { try file.status() }

    /// Of what has this name; a symbolic link is told as one. Nil if there is nothing.
    package func status(of name: String) throws(VarveError) -> FileStatus? {
        if name == "." { return try status() }
        do {
            return try withParent(of: name) { (parent, leaf) throws(VarveError) in
                var value = stat()
                try call("fstatat", name) { fstatat(parent, leaf, &value, AT_SYMLINK_NOFOLLOW) }
                return FileStatus(value)
            }
        } catch let error where error.isNoEntry {
            return nil
        }
    }

    /// Makes this the process's working directory, so that what knows paths only (libdb) finds it, whatever its name is
    /// by then.
    package func changeInto() throws(VarveError) { try call("fchdir", ".") { fchdir(descriptor) } }

    /// Makes the names in it durable.
    package func sync() throws(VarveError) { try file.sync() }

    /// All that was written to its file system, to the medium.
    package func syncFileSystem() throws(VarveError) { try call("syncfs", ".") { varve_syncfs(descriptor) } }

    // MARK: Resolution

    /// Whether `openat2` was refused once, by an old kernel or by a filter.
    private static let isWithoutOpenat2 = Atomic<Bool>(false)

    /// Opens by a validated name, never through a link; closed on exec.
    func open(_ name: String, _ flags: Int32, mode: mode_t = 0) throws(VarveError) -> Int32 {
        if name == "." {
            return try call("openat", name) { openat(descriptor, ".", flags | O_CLOEXEC) }
        }
        let components = try Self.components(name, in: path)
        let flags = flags | O_CLOEXEC | O_NOFOLLOW
        if resolution == .walk || Self.isWithoutOpenat2.load(ordering: .relaxed) {
            return try walk(components, name, flags, mode)
        }
        let resolve = VARVE_RESOLVE_BENEATH | VARVE_RESOLVE_NO_SYMLINKS | VARVE_RESOLVE_NO_MAGICLINKS
        // A mode where nothing is created is refused.
        let mode = flags & O_CREAT == 0 ? 0 : UInt32(mode)
        while true {
            let opened = varve_openat2(descriptor, name, flags, mode, UInt32(resolve))
            if opened >= 0 { return opened }
            switch errno {
            case EINTR: continue
            case ENOSYS: Self.isWithoutOpenat2.store(true, ordering: .relaxed)
            // A filter's answer, or the file's own: the walk tells which.
            case EPERM, EAGAIN: break
            case let code: throw failure("openat2", name, code)
            }
            return try walk(components, name, flags, mode_t(mode))
        }
    }

    private func walk(
        _ components: [String], _ name: String, _ flags: Int32, _ mode: mode_t
    ) throws(VarveError) -> Int32 {
        var holder: File?
        var current = descriptor
        for component in components.dropLast() {
            let next = try call("openat", name) {
                openat(current, component, Int32(VARVE_O_PATH) | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            }
            // Closes the one before.
            holder = File(descriptor: next, path: name)
            current = next
        }
        let last = components[components.count - 1]
        defer { withExtendedLifetime(holder) {} }
        return try call("openat", name) { openat(current, last, flags, mode) }
    }

    /// Runs `body` with a descriptor of the directory that the name's last component is in, and that component.
    @discardableResult
    func withParent<R>(of name: String, _ body: (Int32, String) throws(VarveError) -> R) throws(VarveError)
        -> R
    {
        let components = try Self.components(name, in: path)
        let last = components[components.count - 1]
        guard components.count > 1 else { return try body(descriptor, last) }
        let above = components.dropLast().joined(separator: "/")
        let opened = try open(above, Int32(VARVE_O_PATH) | O_DIRECTORY)
        let parent = File(descriptor: opened, path: above)
        return try body(parent.descriptor, last)
    }

    /// The components of a name, checked.
    static func components(_ name: String, in path: String) throws(VarveError) -> [String] {
        func refuse(_ why: String) -> VarveError {
            VarveError(
                .invalid, "a name that \(why) can't be used here: '\(Text.printable(name.prefix(300)))'",
                location: path)
        }
        guard !name.isEmpty else { throw refuse("is empty") }
        guard !name.utf8.contains(0) else { throw refuse("holds a NUL byte") }
        guard name.utf8.first != UInt8(ascii: "/") else { throw refuse("is absolute") }
        let components = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        for component in components {
            if component.isEmpty { throw refuse("has an empty component") }
            if component.elementsEqual(".".utf8) || component.elementsEqual("..".utf8) {
                throw refuse("has the component '\(String(Substring(component)))'")
            }
            if component.count > 255 { throw refuse("has a component of more than 255 bytes") }
        }
        return components.map { String(Substring($0)) }
    }

    // MARK: Errors

    /// A system call on this name; see `failure`.
    @discardableResult
    func call<T: BinaryInteger>(_ call: StaticString, _ name: String, _ body: () -> T) throws(VarveError) -> T
    {
        while true {
            let result = body()
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { throw failure(call, name, code) }
        }
    }

    /// The error of a call: a link in the way is called that, whichever number the kernel has for it.
    func failure(_ call: StaticString, _ name: String, _ code: Int32) -> VarveError {
        let full = Path.join(path, name)
        if code == ELOOP || code == EXDEV && call.description != "linkat" && call.description != "renameat"
            || code == ENOTDIR && hasLink(name)
        {
            return VarveError(
                .refused, "expected a file or directory, found a symbolic link",
                location: full,
                hint: "find out who made the link; remove the link, or replace it with its target",
                errno: ELOOP)
        }
        return SystemCallError(call: call, path: full, errno: code).error
    }

    /// For the words of an error only: the walk is told `ENOTDIR` where a component is a link.
    private func hasLink(_ name: String) -> Bool {
        var current = descriptor
        var holder: File?
        defer { withExtendedLifetime(holder) {} }
        for component in name.utf8.split(separator: UInt8(ascii: "/")).map({ String(Substring($0)) }) {
            var value = stat()
            guard fstatat(current, component, &value, AT_SYMLINK_NOFOLLOW) == 0 else { return false }
            if value.st_mode & S_IFMT == S_IFLNK { return true }
            let next = openat(
                current, component, Int32(VARVE_O_PATH) | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard next >= 0 else { return false }
            holder = File(descriptor: next, path: component)
            current = next
        }
        return false
    }
}
