import Glibc
import VarveFiles
import VarveFormat

/// A new directory that goes, with everything in it, when the last reference does.
package final class TemporaryDirectory: Sendable {
    package let path: String

    package init(in parent: String? = nil) throws(VarveError) {
        let parent = parent ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/varve-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw SystemCallError(call: "mkdtemp", path: parent, errno: errno).error
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? Directory.removeTree(path) }

    package func join(_ name: String) -> String { Path.join(path, name) }
}

/// What is no regular file, for tests.
package enum FileKind {
    package static func symbolicLink(_ path: String, to target: String) throws(VarveError) {
        try systemCall("symlink", path) { symlink(target, path) }
    }

    package static func fifo(_ path: String) throws(VarveError) {
        try systemCall("mkfifo", path) { mkfifo(path, 0o600) }
    }
}

/// Files as arrays, for tests.
package enum Bytes {
    package static func read(_ path: String) throws(VarveError) -> [UInt8] {
        try File.open(reading: path).readAll(limit: 1 << 30)
    }

    /// Replaces what the file holds, in place and whatever its mode; makes it if it is missing.
    package static func write(_ bytes: [UInt8], to path: String) throws(VarveError) {
        chmod(path, 0o600)
        let file = try File.open(updating: path)
        try file.truncate(to: 0)
        try bytes.withBytes { (bytes) throws(VarveError) in try file.write(bytes, at: 0) }
        try file.close()
    }

    /// Every regular file beneath the directory, by its path relative to it, sorted.
    package static func files(beneath root: String, prefix: String = "") throws -> [String] {
        try Directory.list(Path.join(root, prefix)).flatMap { name -> [String] in
            let path = prefix.isEmpty ? name : "\(prefix)/\(name)"
            switch try FileStatus.of(Path.join(root, path), followLinks: false)?.kind {
            case .directory: return try files(beneath: root, prefix: path)
            case .regular: return [path]
            default: return []
            }
        }
    }

    /// Copies a directory with what is in it; modes become 0700 and 0600.
    package static func copyTree(_ from: String, to target: String) throws {
        for path in try files(beneath: from) {
            try Directory.createAll(Path.parent(Path.join(target, path)))
            try write(try read(Path.join(from, path)), to: Path.join(target, path))
        }
    }
}
