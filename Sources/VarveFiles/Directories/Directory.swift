import CLinux
import Glibc
import VarveFormat

/// Directories by path: list, create, make durable.
package enum Directory {
    /// Names in the directory without "." and "..", sorted by their bytes.
    package static func list(_ path: String) throws(VarveError) -> [String] {
        var names: [String] = []
        try forEachName(path) { names.append(String(decoding: $0, as: UTF8.self)) }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// The bytes of each name in the directory but "." and "..", in no order, valid for the call only.
    package static func forEachName(
        _ path: String, _ body: (UnsafeRawBufferPointer) throws(VarveError) -> Void
    ) throws(VarveError) {
        var stream = opendir(path)
        while stream == nil && errno == EINTR { stream = opendir(path) }
        guard let stream else { throw SystemCallError(call: "opendir", path: path, errno: errno).error }
        defer { closedir(stream) }
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw SystemCallError(call: "readdir", path: path, errno: errno).error }
                return
            }
            try withUnsafeBytes(of: &entry.pointee.d_name) { (field) throws(VarveError) in
                let name = UnsafeRawBufferPointer(
                    rebasing: field[..<(field.firstIndex(of: 0) ?? field.count)])
                if !name.elementsEqual(".".utf8) && !name.elementsEqual("..".utf8) { try body(name) }
            }
        }
    }

    /// Creates one directory; one that is there already is fine.
    package static func create(_ path: String, mode: mode_t = 0o700) throws(VarveError) {
        do {
            try systemCall("mkdir", path) { mkdir(path, mode) }
        } catch let error where error.errno == EEXIST {
            guard try FileStatus.of(path)?.kind == .directory else { throw error }
        }
    }

    /// Opens one to ask for its status, and to open and make what lies in it.
    static func open(_ path: String, followLinks: Bool = true) throws(VarveError) -> File {
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (followLinks ? 0 : O_NOFOLLOW)
        return File(descriptor: try systemCall("open", path) { Glibc.open(path, flags) }, path: path)
    }

    /// The same as `create`, for whoever owns the directory that it is made in, also where root makes it.
    package static func create(forOwner path: String, mode: mode_t = 0o700) throws(VarveError) {
        guard Host.isRoot else { return try create(path, mode: mode) }
        let parent = try open(Path.parent(path))
        let name = Path.name(path)
        do {
            try systemCall("mkdirat", path) { mkdirat(parent.descriptor, name, mode) }
        } catch let error where error.errno == EEXIST {
            guard try FileStatus.of(path)?.kind == .directory else { throw error }
            return
        }
        let owner = try parent.status()
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW
        let descriptor = try systemCall("openat", path) { openat(parent.descriptor, name, flags) }
        let made = File(descriptor: descriptor, path: path)
        let status = try made.status()
        // Empty, and root's own: not one that was put there meanwhile.
        guard status.user == 0, status.links <= 2, (owner.user, owner.group) != (status.user, status.group)
        else { return }
        fchown(made.descriptor, owner.user, owner.group)
    }

    /// Creates what is missing of the path, each directory's name durably.
    package static func createAll(_ path: String, mode: mode_t = 0o700) throws(VarveError) {
        if try FileStatus.of(path)?.kind == .directory { return }
        let parent = Path.parent(path)
        if parent != path { try createAll(parent, mode: mode) }
        try create(path, mode: mode)
        try sync(parent)
    }

    /// Makes the names in the directory durable.
    package static func sync(_ path: String) throws(VarveError) {
        let file = try open(path)
        try file.sync()
        try file.close()
    }

    /// All that was written to the file system of the directory, to the medium.
    package static func syncFileSystem(_ path: String) throws(VarveError) {
        let file = try open(path)
        try systemCall("syncfs", path) { varve_syncfs(file.descriptor) }
        try file.close()
    }

    package static func removeFile(_ path: String) throws(VarveError) {
        try systemCall("unlink", path) { unlink(path) }
    }

    package static func removeEmpty(_ path: String) throws(VarveError) {
        try systemCall("rmdir", path) { rmdir(path) }
    }

    /// Removes the directory and everything beneath it; symbolic links are removed, not followed, also where somebody
    /// puts one in a directory's place meanwhile (`RootDirectory.removeTree`). Of the path itself, links in what leads
    /// to its last component are followed.
    package static func removeTree(_ path: String) throws(VarveError) {
        try RootDirectory(Path.parent(path)).removeTree(Path.name(path))
    }

    /// Atomic; replaces an existing file.
    package static func rename(_ from: String, to: String) throws(VarveError) {
        try systemCall("rename", to) { Glibc.rename(from, to) }
    }
}

/// Paths as text, with "/" between components.
package enum Path {
    package static func join(_ directory: String, _ name: String) -> String {
        if name.hasPrefix("/") || directory.isEmpty { return name }
        if name == "." || name.isEmpty { return directory }
        return directory.hasSuffix("/") ? directory + name : directory + "/" + name
    }

    /// For a file that nobody looks for by its name.
    package static func randomName() -> String { String(UInt64.random(in: 0 ... .max), radix: 36) }

    package static func parent(_ path: String) -> String {
        var trimmed = path[...]
        while trimmed.count > 1 && trimmed.hasSuffix("/") { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    package static func name(_ path: String) -> String {
        var trimmed = path[...]
        while trimmed.count > 1 && trimmed.hasSuffix("/") { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return String(trimmed) }
        return String(trimmed[trimmed.index(after: slash)...])
    }

    /// Absolute, without symbolic links; throws if a component is missing.
    package static func resolve(_ path: String) throws(VarveError) -> String {
        guard let resolved = realpath(path, nil) else {
            throw SystemCallError(call: "realpath", path: path, errno: errno).error
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
