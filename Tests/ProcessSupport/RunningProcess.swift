import Glibc
import VarveFiles

/// What a finished process has said and done.
package struct Finished: Sendable, CustomStringConvertible {
    package var command: String
    package var status: ChildProcess.Status
    package var output: String
    package var errors: String
    package var seconds: Double

    /// The exit code; for a process that a signal killed 128 and its number, as a shell has it.
    package var code: Int32 {
        switch status {
        case .exited(let code): code
        case .killed(let signal): 128 + signal
        }
    }

    package var description: String {
        "\(command) \(status) after \(seconds) s\n\(output.suffix(4000))\(errors.suffix(4000))"
    }

    /// Itself if it ended with one of `codes`; throws all that is known of it otherwise.
    @discardableResult
    package func require(_ codes: Int32...) throws -> Finished {
        guard case .exited(let code) = status, codes.contains(code) else {
            throw ProcessFailure("not exit code \(codes): \(self)")
        }
        return self
    }
}

/// A process of a test, killed with all of its process group when its object goes away.
///
/// Its output goes to files without a name, so it never waits for a reader. Not for several threads at once.
package final class RunningProcess {
    package let command: String
    private let child: ChildProcess
    private let output: UnnamedFile
    private let errors: UnnamedFile
    private let start = Clock.monotonic()
    private var finished: Finished?

    package var process: Int32 { child.process }

    /// - Parameters:
    ///   - executable: a path, or a name to look for in `PATH`.
    ///   - environment: added to this process's own, or in place of it.
    ///   - directory: to work in.
    ///   - input: a descriptor of this process as its standard input; nil for nothing to read.
    ///   - descriptors: further ones, by their numbers here and there.
    package init(
        _ executable: String, _ arguments: [String], environment: [String: String] = [:],
        directory: String? = nil, input: Int32? = nil, descriptors: [(ours: Int32, theirs: Int32)] = []
    ) throws {
        guard let path = executable.contains("/") ? executable : Executable.inPath(executable) else {
            throw ProcessFailure("there is no \(executable) in PATH")
        }
        command = ([Path.name(path)] + arguments).joined(separator: " ")
        output = try UnnamedFile()
        errors = try UnnamedFile()
        let nothing = try File.open(reading: "/dev/null")
        let all: [(ours: Int32, theirs: Int32)] =
            [(input ?? nothing.descriptor, 0), (output.descriptor, 1), (errors.descriptor, 2)] + descriptors
        let variables = Executable.variables.merging(environment) { _, new in new }
        child = try ChildProcess(
            directory == nil ? path : "/usr/bin/env",
            arguments: (directory.map { ["-C", $0, path] } ?? []) + arguments,
            environment: variables.map { "\($0.key)=\($0.value)" }, descriptors: all)
    }

    deinit {
        guard finished == nil else { return }
        kill(-child.process, SIGKILL)
        _ = try? child.wait()
    }

    /// What it has written so far.
    package var outputSoFar: String { output.text }
    package var errorsSoFar: String { errors.text }

    /// It has not ended yet, as far as the system tells.
    package var isRunning: Bool {
        guard finished == nil else { return false }
        var information = siginfo_t()
        information.si_signo = 0
        let code = waitid(P_PID, id_t(child.process), &information, WEXITED | WNOHANG | WNOWAIT)
        return code == 0 && information.si_signo == 0
    }

    /// Waits until it ends, and at most so long: then it is killed, and that is an error.
    @discardableResult
    package func wait(seconds: Double) throws -> Finished {
        if let finished { return finished }
        let deadline = start(plus: seconds)
        while isRunning {
            guard Clock.monotonic() < deadline else {
                let reason = "\(command) did not end in \(seconds) s\n\(outputSoFar)\(errorsSoFar)"
                try killGroup()
                throw ProcessFailure(reason)
            }
            usleep(2000)
        }
        return try reap()
    }

    /// Sends a signal to the process alone; nothing happens if it has ended.
    package func send(_ signal: Int32) {
        if finished == nil { kill(child.process, signal) }
    }

    /// Kills it and its process group, and waits.
    package func killGroup() throws {
        guard finished == nil else { return }
        kill(-child.process, SIGKILL)
        _ = try reap()
    }

    /// Ends it by SIGTERM.
    package func terminate(seconds: Double = 60) throws -> Finished {
        send(SIGTERM)
        return try wait(seconds: seconds)
    }

    private func reap() throws -> Finished {
        let status = try child.wait()
        let result = Finished(
            command: command, status: status, output: output.text, errors: errors.text,
            seconds: Double(Clock.monotonic() - start) / 1e9)
        finished = result
        return result
    }

    private func start(plus seconds: Double) -> UInt64 { Clock.monotonic() + UInt64(seconds * 1e9) }
}

/// Runs a process to its end, and at most so long.
@discardableResult
package func run(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:],
    directory: String? = nil, seconds: Double = 60
) throws -> Finished {
    try RunningProcess(executable, arguments, environment: environment, directory: directory)
        .wait(seconds: seconds)
}

/// Asks again and again until the answer is yes; throws after so many seconds.
package func waitUntil(
    _ what: String, seconds: Double = 30, every pause: UInt32 = 2000, _ condition: () throws -> Bool
) throws {
    let deadline = Clock.monotonic() + UInt64(seconds * 1e9)
    while try !condition() {
        guard Clock.monotonic() < deadline else { throw ProcessFailure("not in \(seconds) s: \(what)") }
        usleep(pause)
    }
}

/// A temporary file that has no name any more.
private final class UnnamedFile {
    let descriptor: Int32

    init() throws {
        var template = Array("/tmp/varve-test-output.XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw SystemCallError(call: "mkstemp", path: "/tmp", errno: errno).error
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unlink(template)
    }

    deinit { close(descriptor) }

    var text: String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(bytes.count))
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}
