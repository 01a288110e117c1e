import Glibc
import VarveFormat

/// A command of the user's own, run for what it prints.
package enum ShellCommand {
    /// - Throws: `.invalid` if it fails or prints more than `limit` bytes.
    package static func output(of command: String, limit: Int) throws(VarveError) -> [UInt8] {
        guard let stream = popen(command, "r") else {
            throw SystemCallError(call: "popen", path: command, errno: errno).error
        }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        let count = fread(&bytes, 1, bytes.count, stream)
        let status = pclose(stream)
        guard status == 0 else {
            throw VarveError(.invalid, "the command failed: \(command)", hint: "try it by itself in a shell")
        }
        guard count <= limit else {
            throw VarveError(.invalid, "the command printed more than \(limit) bytes: \(command)")
        }
        return Array(bytes.prefix(count))
    }
}
