import CLinux
import Glibc
import VarveFormat

/// The two ends of a pipe, both closed on exec.
@frozen
package struct Pipe: ~Copyable {
    package var reading: File
    package var writing: File

    package init() throws(VarveError) {
        var ends: [Int32] = [-1, -1]
        // In one call: a child that another thread starts in between would keep the ends open.
        try systemCall("pipe2", "pipe") { varve_pipe2(&ends, O_CLOEXEC) }
        reading = File(descriptor: ends[0], path: "pipe")
        writing = File(descriptor: ends[1], path: "pipe")
    }
}

/// A process that we started. It outlives this object unless somebody waits for it.
package final class ChildProcess {
    package enum Status: Sendable, Hashable, CustomStringConvertible {
        case exited(Int32)
        case killed(signal: Int32)

        package var description: String {
            switch self {
            case .exited(let code): "exited with status \(code)"
            case .killed(let signal): "was killed by signal \(signal)"
            }
        }
    }

    package let process: pid_t
    private var status: Status?

    /// Starts `executable` in a process group of its own, so that a terminal's Ctrl-C reaches only its parent,
    /// with default signal dispositions and nothing blocked.
    ///
    /// - Parameter descriptors: ours to the child's; everything else that is closed on exec stays ours.
    package init(
        _ executable: String, arguments: [String] = [], environment: [String],
        descriptors: [(ours: Int32, theirs: Int32)]
    ) throws(VarveError) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }

        // By way of high numbers: a source must not be overwritten by another's target before it is copied.
        var copies: [Int32] = []
        defer { for copy in copies { close(copy) } }
        let first = (descriptors.map(\.theirs).max() ?? 2) + 1
        for pair in descriptors {
            let copy = try systemCall("fcntl", executable) { fcntl(pair.ours, F_DUPFD_CLOEXEC, first) }
            copies.append(copy)
            posix_spawn_file_actions_adddup2(&actions, copy, pair.theirs)
        }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = Int32(POSIX_SPAWN_SETPGROUP) | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var pid = pid_t()
        let code = Self.withCStrings([executable] + arguments) { arguments in
            Self.withCStrings(environment) { environment in
                posix_spawn(&pid, executable, &actions, &attributes, arguments, environment)
            }
        }
        guard code == 0 else {
            throw SystemCallError(call: "posix_spawn", path: executable, errno: code).error
        }
        process = pid
    }

    /// Waits for its end.
    package func wait() throws(VarveError) -> Status {
        if let status { return status }
        var raw: Int32 = 0
        try systemCall("waitpid", "process \(process)") { waitpid(process, &raw, 0) }
        let signal = raw & 0x7f
        let result: Status = signal == 0 ? .exited(raw >> 8 & 0xff) : .killed(signal: signal)
        status = result
        return result
    }

    /// - Precondition: nobody waited for it yet, or the signal would go to a stranger.
    package func send(signal: Int32) throws(VarveError) {
        precondition(status == nil)
        try systemCall("kill", "process \(process)") { kill(process, signal) }
    }

    private static func withCStrings<R>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R
    ) -> R {
        let copies: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}

/// Other processes, as `/proc` shows them.
package enum ProcessTable {
    /// When the process started, in clock ticks since boot; nil if there is none (or only a zombie). A process
    /// number alone is reused, together with this it is not.
    package static func startTime(of process: Int32) -> UInt64? {
        guard let file = try? File.open(reading: "/proc/\(process)/stat") else { return nil }
        var buffer = [UInt8](repeating: 0, count: 4096)
        guard
            let count = try? buffer.withUnsafeMutableBytes({ try file.read(into: $0, at: 0) }),
            // The name, in parentheses, may hold anything; what follows it does not.
            let end = buffer[..<count].lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = buffer[(end + 1)..<count].split(separator: UInt8(ascii: " "))
        guard fields.count > 19, fields[0].first != UInt8(ascii: "Z") else { return nil }
        return UInt64(String(decoding: fields[19], as: UTF8.self))
    }

    /// As whom it runs (the effective user), by `/proc/<pid>/status`, which everybody may read; nil if there is none.
    package static func user(of process: Int32) -> UInt32? {
        guard let file = try? File.open(reading: "/proc/\(process)/status"),
            let bytes = try? file.readToEnd(limit: 1 << 16)
        else { return nil }
        let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first {
            $0.hasPrefix("Uid:")
        }
        return line?.split(whereSeparator: \.isWhitespace).dropFirst(2).first.flatMap { UInt32($0) }
    }

    package static var ownStartTime: UInt64 { startTime(of: getpid()) ?? 0 }
}
