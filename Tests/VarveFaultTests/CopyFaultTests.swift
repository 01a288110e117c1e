import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat
import VarveRepository

/// Two copies of a repository in directories, and a closed environment whose second state is not yet in them.
final class CopiedRepository {
    let environment: ClosedEnvironment
    let first: VarveCommand
    let second: VarveCommand
    var directory: TemporaryDirectory { environment.directory }

    /// - Parameter path: where the second copy is to be; beside the first if nil.
    init(_ environment: ClosedEnvironment, second path: String? = nil) throws {
        self.environment = environment
        first = try environment.copy("one")
        let place = path ?? environment.directory["two"]
        try run("rm", ["-rf", place]).require(0)
        try first.run(["copy", "add", place, "--label", "two"]).require(0)
        second = VarveCommand(repository: place)
    }

    /// What each copy acknowledges of itself is there and whole.
    func requireTrueReceipts(_ comment: Comment) throws {
        for command in [first, second] {
            let finished = try command.run(["copy", "list", "--json"])
            #expect(finished.code == 0, "\(comment): \(finished)")
            struct List: Codable {
                struct Row: Codable {
                    var path: String
                    var newestSnapshot: String?
                }
                var copies: [Row]
            }
            guard let own = try finished.decode(List.self).copies.first else {
                throw ProcessFailure("no copy")
            }
            if let newest = own.newestSnapshot {
                let shown = try command.run(["show", newest])
                #expect(shown.code == 0, "\(comment): a record for a snapshot that is not there: \(shown)")
            }
            try command.requireGood(comment)
        }
    }

    static func objects(_ command: VarveCommand) throws -> Set<String> {
        Set(try Stored(command.repository).objects.filter { !$0.hasPrefix("indexes/") })
    }

    func requireEqual(_ comment: Comment) throws {
        #expect(try Self.objects(first) == Self.objects(second), comment)
        try first.requireGood(comment)
        try second.requireGood(comment)
    }
}

extension FaultTests {
    /// SIGKILL on the way into each call of what writes to copies: what was acknowledged is there, a rerun converges.
    @Suite(.serialized, .needs("strace"))
    struct KilledCopyTests {
        private func atEveryCall(
            _ name: String, limit: Int, isDamaged: Bool = false, prepare: (CopiedRepository) throws -> Void,
            arguments: (CopiedRepository) -> [String], finish: (CopiedRepository, Comment) throws -> Void
        ) throws {
            let environment = try ClosedEnvironment()
            let log = environment.directory["log"]
            let clean = try CopiedRepository(environment)
            try prepare(clean)
            let calls = try Tracer.count(arguments(clean), Tracer.changing, log: log)
            try finish(clean, "nothing was killed")
            var random = SeededGenerator(for: name)
            var killed = 0
            for (call, count) in calls {
                for number in sample(count, limit: limit, &random) {
                    let comment: Comment = "\(name) killed at \(call) number \(number) of \(count)"
                    let copied = try CopiedRepository(environment)
                    try prepare(copied)
                    let finished = try Tracer.start(
                        arguments(copied),
                        ["-e", "trace=\(call)", "-e", "inject=\(call):signal=KILL:when=\(number)"], log: log
                    ).wait(seconds: 60)
                    if finished.code != 0 { killed += 1 }
                    if !isDamaged { try copied.requireTrueReceipts(comment) }
                    let again = try run(Executable.varve, arguments(copied))
                    #expect(again.code == 0, "\(comment), again: \(again)")
                    try finish(copied, comment)
                }
            }
            #expect(killed >= 5, "only \(killed) runs were killed: \(calls)")
        }

        @Test(.timeLimit(.minutes(60))) func backupOfTwo() throws {
            try atEveryCall("backup --require 2", limit: 2) { _ in
            } arguments: {
                [
                    "backup", "-r", $0.first.repository, "--bdb", $0.environment.home, "--offline",
                    "--require", "2",
                ]
            } finish: { copied, comment in
                // A manifest that only one of them got before the kill comes to the other by a sync.
                try copied.first.run(["copy", "sync"]).require(0)
                try copied.requireEqual(comment)
            }
        }

        @Test(.timeLimit(.minutes(60))) func sync() throws {
            try atEveryCall("copy sync", limit: 2) { copied in
                try copied.first.run(
                    ["backup", "--bdb", copied.environment.home, "--offline", "--without", "two"]
                ).require(0)
            } arguments: {
                ["copy", "sync", "-r", $0.first.repository]
            } finish: {
                try $0.requireEqual($1)
            }
        }

        @Test(.timeLimit(.minutes(60))) func heal() throws {
            try atEveryCall("heal", limit: 2, isDamaged: true) { copied in
                // One pack flipped in one copy, one gone from the other; a manifest too.
                let packs = try Stored(copied.first.repository).objects.filter { $0.hasPrefix("packs/") }
                    .sorted()
                try flip(copied.first.repository, packs[0])
                try Directory.removeFile(path(copied.second.repository, packs[packs.count - 1]))
                let manifest = try Stored(copied.first.repository).manifests[0]
                try flip(copied.second.repository, "manifests/\(manifest)")
            } arguments: {
                ["heal", "-r", $0.first.repository]
            } finish: {
                try $0.requireEqual($1)
            }
        }

        private func path(_ repository: String, _ object: String) -> String {
            let name = Path.name(object)
            return object.hasPrefix("packs/")
                ? Path.join(repository, "packs/\(name.prefix(2))/\(name)") : Path.join(repository, object)
        }

        private func flip(_ repository: String, _ object: String) throws {
            let path = path(repository, object)
            chmod(path, 0o600)
            let file = try File.open(updating: path)
            let middle = try file.status().size / 2
            var byte: UInt8 = 0
            try withUnsafeMutableBytes(of: &byte) { _ = try file.read(into: $0, at: middle) }
            byte ^= 0x40
            try withUnsafeBytes(of: byte) { try file.write($0, at: middle) }
        }
    }

    /// A copy that is full, read-only, gone or hung does not stop the other, and catches up.
    @Suite(.serialized, .needsMounting())
    struct FailingCopyTests {
        /// The backup succeeds on the first, says what is wrong with the second, and `copy sync` mends it.
        private func check(
            _ copied: CopiedRepository, code: Int32, words: String, mend: () throws -> Void
        ) throws {
            let finished = try copied.environment.backup(copied.first)
            #expect(finished.code == code, "\(finished)")
            #expect(finished.output.contains("on 1 of 2 copies"), "\(finished)")
            #expect(finished.errors.contains(words), "\(finished)")
            try copied.first.requireGood("beside the copy that failed")
            // Required, it is an error; and what the first copy has is still good.
            let required = try copied.first.run(
                ["backup", "--bdb", copied.environment.home, "--offline", "--require", "2"])
            #expect(required.code == 1, "\(required)")
            try copied.first.requireGood("after a refusal")
            try mend()
            try copied.first.run(["copy", "sync"]).require(0)
            try copied.requireEqual("synchronized")
            try copied.first.run(
                ["backup", "--bdb", copied.environment.home, "--offline", "--require", "2"]
            ).require(0)
        }

        @Test(arguments: LoopDisk.Kind.available) func full(_ kind: LoopDisk.Kind) throws {
            let environment = try ClosedEnvironment()
            let disk = try LoopDisk(kind)
            let copied = try CopiedRepository(environment, second: Path.join(disk.path, "two"))
            try disk.fill()
            try check(copied, code: 3, words: "hint: the file system is full") { try disk.makeRoom() }
        }

        /// It lacks little, and nothing new is there to be written: that it is full shows all the same.
        @Test func fullWhileItLagsBehind() throws {
            let environment = try ClosedEnvironment()
            let disk = try LoopDisk(.ext4)
            let copied = try CopiedRepository(environment, second: Path.join(disk.path, "two"))
            try disk.fill()
            for _ in 0..<3 {
                let finished = try environment.backup(copied.first).require(3)
                #expect(finished.errors.contains("No space left on device"), "\(finished)")
            }
            // The control: with room again, the backup itself brings it what it lacks.
            try disk.makeRoom()
            try environment.backup(copied.first).require(0)
            try copied.requireEqual("caught up")
        }

        /// What `detach` says to do next is the whole path of a mount point, not of the copy in it.
        @Test func theUnmountThatIsNamedWorks() throws {
            let environment = try ClosedEnvironment()
            let disk = try LoopDisk(.ext4)
            let copied = try CopiedRepository(environment, second: Path.join(disk.path, "two"))
            try environment.backup(copied.first).require(0)
            let finished = try copied.first.run(["copy", "detach", "two"]).require(0)
            let words = finished.output.split(separator: "(umount ").last?.prefix { $0 != ")" }
            let place = try #require(words.map(String.init))
            #expect(place == disk.path, "\(finished)")
            try run("umount", [place]).require(0)
        }

        @Test func outOfFiles() throws {
            let environment = try ClosedEnvironment()
            let disk = try MemoryDisk("size=64m,nr_inodes=400")
            let copied = try CopiedRepository(environment, second: Path.join(disk.path, "two"))
            let filling = Path.join(disk.path, "filling")
            try Directory.create(filling)
            for number in 0..<400 where Names.touch(Path.join(filling, "\(number)")) == false {
                break
            }
            try check(copied, code: 3, words: "No space left on device") {
                try run("rm", ["-rf", filling]).require(0)
            }
        }

        @Test(arguments: LoopDisk.Kind.available.filter { $0 != .exfat })
        func readOnly(_ kind: LoopDisk.Kind) throws {
            let environment = try ClosedEnvironment()
            let disk = try LoopDisk(kind)
            let copied = try CopiedRepository(environment, second: Path.join(disk.path, "two"))
            try disk.remount("ro")
            // It is there and can't be written to, which a person has to look at.
            try check(copied, code: 3, words: "Read-only file system") { try disk.remount("rw") }
        }

        /// Unplugged: an empty mount point. Plugged in again: it catches up.
        @Test(arguments: LoopDisk.Kind.available) func unplugged(_ kind: LoopDisk.Kind) throws {
            let environment = try ClosedEnvironment()
            let disk = try LoopDisk(kind)
            let copied = try CopiedRepository(environment, second: Path.join(disk.path, "two"))
            try disk.unmount()
            try check(copied, code: 0, words: "no such directory") {
                #expect(
                    try Directory.list(disk.path).isEmpty, "something was written to the empty mount point")
                try disk.mount()
            }
        }

        /// Pulled out: the mount is still there, and every access fails.
        @Test(arguments: LoopDisk.Kind.available.filter { $0 != .exfat })
        func pulledOut(_ kind: LoopDisk.Kind) throws {
            let environment = try ClosedEnvironment()
            let disk = try LoopDisk(kind)
            let copied = try CopiedRepository(environment, second: Path.join(disk.path, "two"))
            try disk.die()
            try check(copied, code: 3, words: "Input/output error") {
                try disk.unmount()
                try disk.mount()
            }
        }

        /// A write-back that fails once: what was lost is written anew, to a new file; a second `fsync` of the old one
        /// would have said that all is well.
        @Test(.needs("strace")) func writeBackFailsOnce() throws {
            let environment = try ClosedEnvironment()
            for number in 1...4 {
                let copied = try CopiedRepository(environment)
                let finished = try Tracer.start(
                    [
                        "backup", "-r", copied.first.repository, "--bdb", environment.home, "--offline",
                        "--require", "2",
                    ],
                    ["-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=\(number)"],
                    log: environment.directory["log"]
                ).wait(seconds: 60)
                // On each thread its own count: also that of a directory, which can't be written anew.
                if finished.code == 0 { try copied.requireEqual("fsync \(number) failed once") }
                try copied.requireTrueReceipts("fsync \(number) failed once")
                try copied.first.run(["copy", "sync"]).require(0)
                try copied.requireEqual("fsync \(number) failed once, synchronized")
            }
        }

        /// The same while objects are copied, several at a time, as `copy sync` does it, too: what was lost is written anew.
        @Test(.needs("strace")) func writeBackFailsOnceInAHeal() throws {
            let environment = try ClosedEnvironment()
            let log = environment.directory["log"]
            var rewritten = 0
            for number in 1...8 {
                let copied = try CopiedRepository(environment)
                try run("sh", ["-c", "rm -f '\(copied.second.repository)'/packs/*/*"]).require(0)
                let finished = try Tracer.start(
                    ["heal", "--copy", "two", "-r", copied.first.repository],
                    ["-e", "trace=fsync,openat", "-e", "inject=fsync:error=EIO:when=\(number)"], log: log
                ).wait(seconds: 60)
                let comment: Comment = "fsync \(number) of each thread failed once"
                let lines = try Text.read(log).split(separator: "\n")
                if lines.contains(where: { $0.contains("EIO") && $0.contains("/two/tmp/") }) {
                    if finished.code == 0 { rewritten += 1 }
                    // What else failed, a directory for instance, can't be written anew.
                    #expect(
                        finished.code == 0
                            || lines.contains { $0.contains("EIO") && !$0.contains("/two/tmp/") },
                        "\(comment): \(finished)")
                }
                if finished.code == 0 { try copied.requireEqual(comment) }
                try copied.first.run(["copy", "sync"]).require(0)
                try copied.requireEqual("\(comment), and again")
                #expect(try Directory.list(Path.join(copied.second.repository, "tmp")).isEmpty, comment)
            }
            #expect(rewritten > 0, "no run outlived an object's failed fsync")
        }

        /// A file system in user space that was stopped: it answers nothing at all.
        @Test(.needs("bindfs")) func hung() throws {
            let environment = try ClosedEnvironment()
            let (real, mounted) = (environment.directory["real"], environment.directory["mounted"])
            for path in [real, mounted] { try Directory.create(path) }
            let server = try RunningProcess("bindfs", ["-f", real, mounted])
            defer {
                server.send(SIGCONT)
                _ = try? run("umount", ["-l", mounted])
                _ = try? server.wait(seconds: 10)
            }
            try waitUntil("the mount", seconds: 10) { try Text.read("/proc/mounts").contains(mounted) }
            let copied = try CopiedRepository(environment, second: Path.join(mounted, "two"))
            server.send(SIGSTOP)
            try check(copied, code: 3, words: "does not answer") { server.send(SIGCONT) }
        }
    }

    /// On file systems that a disk may come with.
    @Suite(.serialized, .needsMounting())
    struct CopyFileSystemTests {
        /// exFAT has neither links nor `RENAME_NOREPLACE`, no modes, no owners.
        @Test(arguments: LoopDisk.Kind.available) func asGoodAsAnyOther(_ kind: LoopDisk.Kind) throws {
            let environment = try ClosedEnvironment()
            let disk = try LoopDisk(kind)
            let copied = try CopiedRepository(environment, second: Path.join(disk.path, "two"))
            try copied.first.run(
                ["backup", "--bdb", environment.home, "--offline", "--require", "2"]
            ).require(0)
            try copied.requireEqual("on \(kind)")
            try copied.second.requireRestores("1", as: environment.directory["first"], "from \(kind)")
            // And alone, as the one that is written to.
            try copied.second.run(["backup", "--bdb", environment.home, "--offline"]).require(0)
            try copied.second.run(["copy", "detach", "two"]).require(0)
        }
    }
}

private enum Names {
    /// Makes an empty file; false if there is no room for its name.
    static func touch(_ path: String) -> Bool {
        let descriptor = open(path, O_CREAT | O_WRONLY, 0o600)
        if descriptor >= 0 { close(descriptor) }
        return descriptor >= 0
    }
}
