import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

import enum ProcessSupport.Machine

@Suite(.timeLimit(.minutes(2))) struct ChildProcessTests {
    private static let environment = ["PATH=/usr/bin:/bin"]

    /// Runs a shell's script and gives what it prints to its standard output, and how it ended.
    private func run(
        _ script: String, _ descriptors: [(ours: Int32, theirs: Int32)] = [],
        environment: [String] = environment
    ) throws -> (output: String, status: ChildProcess.Status) {
        try run("/bin/sh", ["-c", script], descriptors, environment)
    }

    private func run(
        _ executable: String, _ arguments: [String], _ descriptors: [(ours: Int32, theirs: Int32)] = [],
        _ environment: [String] = environment
    ) throws -> (output: String, status: ChildProcess.Status) {
        var pipe = try VarveFiles.Pipe()
        let child = try ChildProcess(
            executable, arguments: arguments, environment: environment,
            descriptors: [(pipe.writing.descriptor, 1)] + descriptors)
        // Ours must go, or the end never comes.
        pipe.writing = try File.open(reading: "/dev/null")
        let output = try pipe.reading.readStream(limit: 64 << 20)
        return (String(decoding: output, as: UTF8.self), try child.wait())
    }

    @Test func howItEnds() throws {
        for code in [0, 1, 42, 255] as [Int32] { #expect(try run("exit \(code)").status == .exited(code)) }
        for signal in [SIGTERM, SIGKILL, SIGSEGV] {
            #expect(try run("kill -\(signal) $$").status == .killed(signal: signal))
        }
        #expect("\(ChildProcess.Status.exited(3))" == "exited with status 3")
        #expect("\(ChildProcess.Status.killed(signal: 9))" == "was killed by signal 9")
    }

    @Test func signalsReachIt() throws {
        let child = try ChildProcess("/bin/sleep", arguments: ["100"], environment: [], descriptors: [])
        try child.send(signal: SIGTERM)
        #expect(try child.wait() == .killed(signal: SIGTERM))
        #expect(try child.wait() == .killed(signal: SIGTERM), "it is asked again")
    }

    @Test func whatCanNotBeStarted() throws {
        for (path, code) in [("/none", ENOENT), ("/etc/passwd", EACCES), ("/proc", EACCES)] {
            let error = expect(.system) {
                try ChildProcess(path, environment: [], descriptors: []).process
            }
            #expect(error?.errno == code && error?.message.contains(path) == true)
        }
        expect(.system) { try ChildProcess("/bin/true", environment: [], descriptors: [(-1, 0)]).process }
    }

    @Test func theEnvironmentIsAllOfIt() throws {
        let values = ["PATH=/usr/bin:/bin", "A=b c", "EMPTY="]
        let lines = try run("exec env", environment: values).output.split(separator: "\n").map(String.init)
        // What a shell adds itself.
        #expect(
            lines.filter { !$0.hasPrefix("PWD=") && !$0.hasPrefix("_=") && !$0.hasPrefix("SHLVL=") }.sorted()
                == values.sorted())
    }

    /// A child has the descriptors that it was given and no others, whatever this process has open.
    @Test func descriptorsAreOursOrTheirs() throws {
        let directory = try TemporaryDirectory()
        let files = try ["a", "b", "c"].map { name -> Int32 in
            try Bytes.write(Array(name.utf8), to: directory.join(name))
            return try systemCall("open", name) { open(directory.join(name), O_RDONLY | O_CLOEXEC) }
        }
        defer { for file in files { close(file) } }
        let listed = try run("cd /proc/self/fd && echo *", [(files[0], 5)])
        let numbers = listed.output.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        // The shell may hold the directory that it reads; standard input and error are this process's.
        #expect(Set(numbers).subtracting([0, 2]).isSuperset(of: [1, 5]))
        let targets = try run("for f in /proc/$$/fd/*; do readlink $f; done", [(files[0], 5)]).output
        #expect(targets.contains(directory.join("a")))
        #expect(!targets.contains(directory.join("b")) && !targets.contains(directory.join("c")))
    }

    /// Numbers that are ours and theirs crosswise.
    @Test func descriptorsAreExchanged() throws {
        let directory = try TemporaryDirectory()
        let files = try ["a", "b"].map { name -> Int32 in
            try Bytes.write(Array(name.utf8), to: directory.join(name))
            return try systemCall("open", name) { open(directory.join(name), O_RDONLY | O_CLOEXEC) }
        }
        defer { for file in files { close(file) } }
        let crosswise = [(ours: files[0], theirs: files[1]), (ours: files[1], theirs: files[0])]
        let script = "cat /proc/self/fd/\(files[0]) /proc/self/fd/\(files[1])"
        #expect(try run(script, crosswise).output == "ba")
        let straight = files.map { (ours: $0, theirs: $0) }
        #expect(try run(script, straight).output == "ab", "the control")
    }

    @Test func moreThanAPipeHolds() throws {
        let (output, status) = try run("head -c 8000000 /dev/zero | tr '\\0' x")
        #expect(output.utf8.count == 8_000_000 && output.utf8.allSatisfy { $0 == UInt8(ascii: "x") })
        #expect(status == .exited(0))
    }

    /// Its group is its own, no signal is blocked or ignored, whatever this process does.
    @Test func aCleanStart() throws {
        let child = try ChildProcess("/bin/sleep", arguments: ["100"], environment: [], descriptors: [])
        #expect(getpgid(child.process) == child.process && getpgid(0) != child.process)
        try child.send(signal: SIGKILL)
        _ = try child.wait()
        // On a thread of its own: a mask is a thread's.
        let states = Monitor<String>("")
        let thread = try WorkerThread {
            var set = sigset_t()
            sigemptyset(&set)
            sigaddset(&set, SIGHUP)
            pthread_sigmask(SIG_BLOCK, &set, nil)
            // No shell: that has a mask of its own.
            let text =
                (try? run("/bin/grep", ["-E", "^Sig(Blk|Ign)", "/proc/self/status"]).output) ?? "nothing"
            states.change { $0 = text }
        }
        thread.join()
        let masks = states.change { $0 }.split(whereSeparator: \.isWhitespace).compactMap {
            UInt64($0, radix: 16)
        }
        // 32 and 33 are glibc's own, which its `posix_spawn` has ignored.
        #expect(masks.map { $0 & ~(3 << 31) } == [0, 0])
    }
}

@Suite struct ProcessTableTests {
    @Test func aNumberAndItsStart() throws {
        let child = try ChildProcess("/bin/sleep", arguments: ["100"], environment: [], descriptors: [])
        let start = try #require(ProcessTable.startTime(of: child.process))
        #expect(start >= ProcessTable.ownStartTime && ProcessTable.ownStartTime > 0)
        #expect(ProcessTable.user(of: child.process) == geteuid())
        try child.send(signal: SIGKILL)
        var information = siginfo_t()
        // It has ended and nobody has waited for it: a zombie is none.
        try systemCall("waitid", "child") {
            waitid(P_PID, id_t(child.process), &information, WEXITED | WNOWAIT)
        }
        #expect(ProcessTable.startTime(of: child.process) == nil)
        _ = try child.wait()
        #expect(ProcessTable.startTime(of: child.process) == nil)
        #expect(ProcessTable.user(of: child.process) == nil)
    }
}

@Suite(.timeLimit(.minutes(2))) struct ShellCommandTests {
    private func output(_ command: String, limit: Int = 100) throws -> String {
        String(decoding: try ShellCommand.output(of: command, limit: limit), as: UTF8.self)
    }

    @Test func whatItPrints() throws {
        #expect(try output("printf 'a b'; printf c") == "a bc")
        #expect(try output("true").isEmpty)
        // What goes to standard error is the user's to read.
        #expect(try output("echo told 2>&1 >/dev/null; echo out") == "out\n")
        #expect(try output("printf 12345", limit: 5) == "12345")
        #expect(try output("true", limit: 0).isEmpty)
    }

    @Test func whatIsRefused() throws {
        let long = expect(.invalid) { try output("printf 123456", limit: 5) }
        #expect(long?.message.contains("more than 5 bytes") == true)
        // It ends, although nobody reads all of it.
        expect(.invalid) { try output("head -c 10000000 /dev/zero", limit: 5) }
        for command in ["exit 1", "echo password; exit 3", "kill -9 $$", "/none 2>/dev/null"] {
            let error = expect(.invalid) { try output(command) }
            #expect(error?.message.contains("the command failed") == true && error?.hint != nil, "\(command)")
        }
    }
}

/// What the thread may, the user may; and whoever has started it is root again, and was all the time.
@Suite struct OwnerThreadTests {
    private static let (user, group): (UInt32, UInt32) = (4711, 4712)
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        chmod(directory.path, 0o755)
        try Directory.create(directory.join("his"))
        chmod(directory.join("his"), 0o700)
        try Bytes.write(Array("secret".utf8), to: directory.join("roots"))
        if Host.isRoot { chown(directory.join("his"), Self.user, Self.group) }
    }

    @Test(.needsRoot("to take on the rights of others"))
    func insideAndOutside() throws {
        try OwnerThread.run(user: Self.user, group: Self.group) { () throws(VarveError) in
            #expect(expect(.system) { try Bytes.read(directory.join("roots")) }?.errno == EACCES)
            #expect(expect(.system) { try File.create(directory.join("new")).path }?.errno == EACCES)
            try File.create(directory.join("his/file")).close()
        }
        let made = try FileStatus.of(directory.join("his/file"))
        #expect(made?.user == Self.user && made?.group == Self.group)
        // Ours again.
        #expect(try Bytes.read(directory.join("roots")) == Array("secret".utf8))
        try File.create(directory.join("new")).close()
        #expect(try FileStatus.of(directory.join("new"))?.user == 0)
    }

    @Test(.needsRoot("to take on the rights of others"))
    func theOthersStayRoots() throws {
        let isDone = Monitor(false)
        let failures = Monitor(0)
        let path = directory.join("roots")
        let other = try WorkerThread {
            while !isDone.change({ $0 }) {
                if (try? Bytes.read(path)) == nil { failures.change { $0 += 1 } }
            }
        }
        for _ in 0..<200 {
            try OwnerThread.run(user: Self.user, group: Self.group) {
                _ = expect(.system) { try Bytes.read(path) }
            }
        }
        isDone.change { $0 = true }
        other.join()
        #expect(failures.change { $0 } == 0)
    }

    @Test func itsResultAndItsErrorComeOut() throws {
        #expect(try OwnerThread.run(user: Self.user, group: Self.group) { 7 } == 7)
        expect(.locked) {
            try OwnerThread.run(user: Self.user, group: Self.group) { () throws(VarveError) in
                throw VarveError(.locked, "locked")
            }
        }
    }

    /// Who is not root runs it as who he is, on his own thread.
    @Test(.enabled(if: !Host.isRoot, "root takes on the rights"))
    func withoutRoot() throws {
        let own = pthread_self()
        #expect(try OwnerThread.run(user: Self.user, group: Self.group) { pthread_self() } == own)
    }
}
