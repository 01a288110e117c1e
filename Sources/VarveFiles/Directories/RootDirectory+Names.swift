import CLinux
import Glibc
import VarveFormat

extension RootDirectory {
    /// Names in the directory without "." and "..", sorted by their bytes.
    package func names(in name: String = ".") throws(VarveError) -> [String] {
        var names: [String] = []
        try forEachName(in: name) { names.append(String(decoding: $0, as: UTF8.self)) }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// The bytes of each name in the directory but "." and "..", in no order, valid for the call only.
    package func forEachName(
        in name: String = ".", _ body: (UnsafeRawBufferPointer) throws(VarveError) -> Void
    ) throws(VarveError) {
        // An open file of its own: a duplicate would share its position with whoever else lists.
        let opened = try open(name, O_RDONLY | O_DIRECTORY | O_NONBLOCK)
        try Self.forEachName(of: opened, Path.join(path, name), body)
    }

    /// Takes over the descriptor.
    static func forEachName(
        of descriptor: Int32, _ path: String, _ body: (UnsafeRawBufferPointer) throws(VarveError) -> Void
    ) throws(VarveError) {
        guard let stream = fdopendir(descriptor) else {
            let code = errno
            close(descriptor)
            throw SystemCallError(call: "fdopendir", path: path, errno: code).error
        }
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

    /// Makes one directory; one that is there already is fine, anything else of the name is not.
    ///
    /// - Returns: whether it is new.
    @discardableResult
    package func makeDirectory(_ name: String, mode: mode_t = 0o700) throws(VarveError) -> Bool {
        do {
            try withParent(of: name) { (parent, leaf) throws(VarveError) in
                try call("mkdirat", name) { mkdirat(parent, leaf, mode) }
            }
            return true
        } catch let error where error.errno == EEXIST {
            switch try status(of: name)?.kind {
            case .directory?: return false
            case .symbolicLink?: throw failure("mkdirat", name, ELOOP)
            default: throw error
            }
        }
    }

    /// Makes what is missing of the name, each directory's name durably.
    package func makeDirectories(_ name: String, mode: mode_t = 0o700) throws(VarveError) {
        let components = try Self.components(name, in: path)
        for count in 1...components.count {
            let part = components[..<count].joined(separator: "/")
            if try makeDirectory(part, mode: mode) { try syncParent(of: part) }
        }
    }

    /// Atomic; replaces an existing file, but no directory. Durable after `sync` of both directories.
    package func rename(_ from: String, to: String, in target: RootDirectory? = nil) throws(VarveError) {
        let target = target ?? self
        try withParent(of: from) { (fromParent, fromLeaf) throws(VarveError) in
            try target.withParent(of: to) { (toParent, toLeaf) throws(VarveError) in
                try call("renameat", to) { renameat(fromParent, fromLeaf, toParent, toLeaf) }
            }
        }
    }

    /// `renameat2(RENAME_NOREPLACE)`; where the file system has no such thing, link and unlink; where it has no links
    /// either (exFAT), a look and a rename: one writer at a time holds the lock, so nobody comes in between.
    ///
    /// - Returns: false if the name was taken; then nothing has changed.
    package func renameWithoutReplacing(
        _ from: String, to: String, in target: RootDirectory? = nil
    ) throws(VarveError) -> Bool {
        let target = target ?? self
        do {
            try withParent(of: from) { (fromParent, fromLeaf) throws(VarveError) in
                try target.withParent(of: to) { (toParent, toLeaf) throws(VarveError) in
                    try call("renameat2", to) {
                        varve_renameat2(
                            fromParent, fromLeaf, toParent, toLeaf, UInt32(VARVE_RENAME_NOREPLACE))
                    }
                }
            }
            return true
        } catch let error where error.errno == EEXIST {
            return false
        } catch let error where error.errno == EINVAL || error.errno == ENOSYS {
            do {
                try link(from, to: to, in: target)
            } catch let error where error.errno == EEXIST {
                return false
            } catch let error where [EPERM, EOPNOTSUPP, ENOSYS].contains(error.errno) {
                if try target.status(of: to) != nil { return false }
                try rename(from, to: to, in: target)
                return true
            }
            try unlink(from)
            return true
        }
    }

    /// Another name for the same file, in this directory or beneath another one. A symbolic link gets another name
    /// itself, it is not followed.
    package func link(_ from: String, to: String, in target: RootDirectory? = nil) throws(VarveError) {
        let target = target ?? self
        try withParent(of: from) { (fromParent, fromLeaf) throws(VarveError) in
            try target.withParent(of: to) { (toParent, toLeaf) throws(VarveError) in
                try call("linkat", to) { linkat(fromParent, fromLeaf, toParent, toLeaf, 0) }
            }
        }
    }

    /// Removes a name that is no directory's.
    package func unlink(_ name: String) throws(VarveError) {
        try withParent(of: name) { (parent, leaf) throws(VarveError) in
            try call("unlinkat", name) { unlinkat(parent, leaf, 0) }
        }
    }

    package func removeEmpty(_ name: String) throws(VarveError) {
        try withParent(of: name) { (parent, leaf) throws(VarveError) in
            try call("unlinkat", name) { unlinkat(parent, leaf, AT_REMOVEDIR) }
        }
    }

    /// Removes what has this name; of a directory everything beneath it first. Symbolic links are removed, never
    /// followed: each directory is opened without following any, and emptied by its descriptor.
    package func removeTree(_ name: String) throws(VarveError) {
        // Not the directory itself, which "." means elsewhere.
        _ = try Self.components(name, in: path)
        guard let status = try status(of: name) else { throw failure("unlinkat", name, ENOENT) }
        guard status.kind == .directory else { return try unlink(name) }
        let tree = try directory(name)
        // What lies deeper than the descriptors reach is brought up, and removed in the next round.
        while try !Self.empty(tree.descriptor, tree.path, top: tree.descriptor, depth: 0) {}
        try removeEmpty(name)
    }

    private static let depthLimit = 64

    /// - Returns: false if something was brought up to `top`.
    private static func empty(_ directory: Int32, _ path: String, top: Int32, depth: Int) throws(VarveError)
        -> Bool
    {
        let list = try systemCall("openat", path) {
            openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        // By their bytes: a name may be no text.
        var names: [[CChar]] = []
        try forEachName(of: list, path) { names.append($0.map { CChar(bitPattern: $0) } + [0]) }
        var isWhole = true
        for name in names {
            var value = stat()
            if fstatat(directory, name, &value, AT_SYMLINK_NOFOLLOW) != 0, errno == ENOENT { continue }
            guard value.st_mode & S_IFMT == S_IFDIR else {
                try systemCall("unlinkat", path) { unlinkat(directory, name, 0) }
                continue
            }
            guard depth < depthLimit else {
                let above = Path.randomName()
                try systemCall("renameat", path) { renameat(directory, name, top, above) }
                isWhole = false
                continue
            }
            let opened = try systemCall("openat", path) {
                openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            }
            let child = File(descriptor: opened, path: path)
            if try !empty(child.descriptor, path, top: top, depth: depth + 1) { isWhole = false }
            try systemCall("unlinkat", path) { unlinkat(directory, name, AT_REMOVEDIR) }
        }
        return isWhole
    }
}
