import Glibc
import VarveFiles

/// A directory that is gone when its object is, whatever became of the test.
package final class TemporaryDirectory {
    package let path: String

    /// - Parameter parent: nil for `TMPDIR`, or `/tmp`.
    package init(in parent: String? = nil) throws {
        let base = parent ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array(Path.join(base, "varve-test.XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw SystemCallError(call: "mkdtemp", path: base, errno: errno).error
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The path of something in it; nothing is created.
    package subscript(name: String) -> String { Path.join(path, name) }

    deinit {
        // To look at what a seed has led to.
        if Executable.variables["VARVE_TEST_KEEP"] == "1" { return print("kept: \(path)") }
        do {
            try Directory.removeTree(path)
        } catch {
            print("cannot remove \(path): \(error)")
        }
    }
}

/// Small whole files.
package enum Text {
    package static func read(_ path: String) throws -> String {
        String(decoding: try File.open(reading: path).readToEnd(limit: 1 << 28), as: UTF8.self)
    }

    package static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else {
            throw SystemCallError(call: "fopen", path: path, errno: errno).error
        }
        fputs(text, file)
        guard fclose(file) == 0 else {
            throw SystemCallError(call: "fclose", path: path, errno: errno).error
        }
    }
}
