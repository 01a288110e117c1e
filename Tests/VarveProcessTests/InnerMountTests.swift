import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// Data and log directories in the home with file systems of their own: the disk has died, empty ones are mounted in its
    /// place, and everything comes back to where it was.
    @Suite(.serialized, .needsDisk("ext4"))
    struct InnerMountTests {
        /// A closed environment with directories in its home, and its backup; `target` is an empty home.
        private final class Disaster {
            let directory: TemporaryDirectory
            let command: VarveCommand
            var target: String { directory["target"] }
            private var mounts: [LoopMount] = []
            private var others: [String] = []

            init() throws {
                directory = try TemporaryDirectory()
                for name in ["home", "home/data", "home/logs"] {
                    try Directory.create(directory[name], mode: 0o755)
                }
                try run(
                    Executable.workload,
                    [
                        "run", "--home", directory["home"], "--data-dir", "data", "--log-dir", "logs",
                        "--seconds",
                        "0.5", "--remove-regions", "--records", "2000",
                    ]
                ).require(0)
                chmod(directory["home/data"], 0o750)
                command = try .initialized(directory["repository"])
                try command.run(["backup", "--bdb", directory["home"], "--offline"]).require(0)
                try Directory.create(directory["target"], mode: 0o755)
            }

            /// - Returns: where it is mounted.
            @discardableResult
            func mount(_ name: String) throws -> String {
                mounts.append(try LoopMount(.ext4, in: directory, at: "target/" + name, megabytes: 64))
                return directory["target/" + name]
            }

            func mountMemory(_ name: String, _ size: String) throws {
                let path = directory[name]
                try Directory.create(path)
                try run("mount", ["-t", "tmpfs", "-o", "size=\(size)", "varve-test", path]).require(0)
                others.append(path)
            }

            func restore(_ options: [String] = []) throws -> Finished {
                try command.run(["restore", "latest", "--target", target] + options)
            }

            /// Everything is there, on the file systems that it belongs to, and nothing is left.
            func requireWhole() throws {
                _ = try Workload.check(target, layout: ["--data-dir", "data", "--log-dir", "logs"])
                let logs = try #require(FileTree.logs(in: Path.join(target, "logs")).first)
                for file in ["data/btree1.db", "data/hash2.db", "logs/" + Path.name(logs)] {
                    let path = Path.join(target, file)
                    #expect(
                        try FileStatus.of(path)?.device == FileStatus.of(Path.parent(path))?.device, "\(file)"
                    )
                }
                for name in [".", "data", "logs"] {
                    #expect(access(Path.join(target, name + "/.varve-incomplete"), F_OK) != 0, "\(name)")
                }
                #expect(try FileStatus.of(Path.join(target, "data"))?.mode == 0o750)
            }

            deinit {
                for mount in mounts.reversed() { mount.unmount() }
                for path in others.reversed() { _ = try? run("umount", ["-l", path]) }
            }
        }

        @Test func theyAreFilled() throws {
            let disaster = try Disaster()
            let data = try disaster.mount("data")
            try disaster.mount("logs")
            // The controls: what is in one of them, or beside them, and a directory that the snapshot does not have.
            for name in ["data/mine", "mine"] {
                let file = Path.join(disaster.target, name)
                try Text.write("mine", to: file)
                #expect(try disaster.restore().require(1).errors.contains("it holds \(name)"))
                #expect(try Text.read(file) == "mine")
                try Directory.removeFile(file)
            }
            let stranger = Path.join(disaster.target, "stranger")
            try disaster.mountMemory("target/stranger", "1m")
            #expect(try disaster.restore().require(1).errors.contains("it holds stranger"))
            try run("umount", [stranger]).require(0)
            try Directory.removeEmpty(stranger)
            #expect(try Directory.list(data) == ["lost+found"])

            try disaster.restore(["--recover", "--dry-run"]).require(0)
            #expect(try Directory.list(data) == ["lost+found"])
            try disaster.restore(["--recover"]).require(0)
            try disaster.requireWhole()
            #expect(
                try FileStatus.of(data)?.device != FileStatus.of(Path.join(disaster.target, "logs"))?.device)
            #expect(try FileStatus.of(data)?.device != FileStatus.of(disaster.target)?.device)
        }

        /// A bind mount has its directory's device: it can't be replaced all the same.
        @Test func aBindMountIsOne() throws {
            let disaster = try Disaster()
            let (place, mounted) = (disaster.directory["place"], Path.join(disaster.target, "data"))
            for path in [place, mounted] { try Directory.create(path, mode: 0o755) }
            // The control: an empty directory is not.
            #expect(try disaster.restore().require(1).errors.contains("it holds data"))
            try run("mount", ["--bind", place, mounted]).require(0)
            defer { _ = try? run("umount", ["-l", mounted]) }
            try disaster.restore(["--recover"]).require(0)
            try disaster.requireWhole()
            #expect(try Directory.list(place) == ["btree1.db", "hash2.db"])
        }

        /// The home's own file system may be too small for what goes to the others.
        @Test func eachFileSystemCountsApart() throws {
            let disaster = try Disaster()
            try Directory.removeEmpty(disaster.target)
            try disaster.mountMemory("target", "1m")
            try disaster.mount("data")
            try disaster.mountMemory("target/logs", "100k")
            let refused = try disaster.restore().require(1)
            #expect(refused.errors.contains("where \(disaster.target)/logs lies"), "\(refused)")
            #expect(try Directory.list(disaster.target) == ["data", "logs"])
            try run("umount", [Path.join(disaster.target, "logs")]).require(0)
            try disaster.mount("logs")
            try disaster.restore(["--recover"]).require(0)
            try disaster.requireWhole()
        }

        /// Killed at each of its renames, which move what is restored into its place, and with some of it copied.
        @Test(.needs("strace")) func whatIsCutOffIsSaidAndDoneAgain() throws {
            let disaster = try Disaster()
            try disaster.mount("data")
            try disaster.mount("logs")
            let marker = Path.join(disaster.target, ".varve-incomplete/.varve-restore")
            var kills = 0
            for number in 1...40 {
                let cut = try run(
                    "strace",
                    [
                        "-f", "-b", "execve", "-qq", "-o", disaster.directory["log"], "-e", "trace=renameat",
                        "-e",
                        "inject=renameat:signal=KILL:when=\(number)", "--", Executable.varve, "restore", "-r",
                        disaster.command.repository, "latest", "--target", disaster.target,
                    ])
                if cut.code == 0 { break }
                kills += 1
                #expect(access(marker, F_OK) == 0, "\(number): \(cut)")
                try disaster.restore().require(0)
                try disaster.requireWhole()
                for name in ["data", "logs", "."] {
                    for file in try Directory.list(Path.join(disaster.target, name))
                    where !["data", "logs", "lost+found"].contains(file) {
                        try run("rm", ["-r", Path.join(disaster.target, name + "/" + file)]).require(0)
                    }
                }
            }
            #expect(kills >= 3)
            try disaster.requireWhole()
        }
    }
}
