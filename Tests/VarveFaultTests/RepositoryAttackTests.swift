import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension FaultTests {
    /// Root works on a repository whose disk somebody else can write: nothing outside of it is created, changed, deleted
    /// or read into it, and nothing on it makes a command wait.
    @Suite(.serialized)
    struct RepositoryAttackTests {
        private static let marker = "only root may read this 61f0"

        /// A repository of `nobody`'s with two copies, and what root has beside it.
        private final class Scene {
            let directory: TemporaryDirectory
            let command: VarveCommand
            var home: String { directory["home"] }
            var repository: String { command.repository }
            var outside: String { directory["outside"] }

            init() throws {
                directory = try TemporaryDirectory()
                chmod(directory[""], 0o711)
                command = VarveCommand(repository: directory["disk/a"])
                try Directory.create(directory["disk"], mode: 0o777)
                try command.run(["init", "--copy", directory["disk/b"]]).require(0)
                try run(
                    Executable.workload,
                    ["run", "--home", home, "--seconds", "0.2", "--records", "200", "--remove-regions"]
                ).require(0)
                try backup().require(0)
                try Directory.create(outside, mode: 0o700)
                try Directory.create(Path.join(outside, "inner"), mode: 0o700)
                for name in ["one", "two", "inner/three"] {
                    try Text.write(RepositoryAttackTests.marker + name, to: Path.join(outside, name))
                }
            }

            func backup() throws -> Finished {
                try command.run(["backup", "--bdb", home, "--offline", "--force"])
            }

            /// Names, contents and times of everything that root has beside the repository.
            func fingerprint() throws -> String {
                try run(
                    "find", [outside, "-printf", "%p %i %s %m %u %T@ %C@\\n"]
                ).require(0).output + run("grep", ["-rh", "", outside]).require(0).output
            }

            func giveAway() throws { try run("chown", ["-R", "nobody", directory["disk"]]).require(0) }

            func firstPack() throws -> String {
                let found = try run("find", [Path.join(repository, "packs"), "-type", "f"]).require(0)
                return try #require(found.output.split(separator: "\n").map(String.init).min())
            }

            /// What of root's is in the repository or in what was restored from it.
            func leaks() throws -> String {
                try run(
                    "grep",
                    [
                        "-rlaF", "--devices=skip", RepositoryAttackTests.marker, directory["disk"],
                        directory["restored"],
                    ]
                ).output
            }
        }

        /// The directory that writers empty leads elsewhere.
        @Test(arguments: ["backup", "second", "sync", "heal"]) func theTemporaryDirectoryIsALink(
            _ what: String
        ) throws {
            let scene = try Scene()
            let before = try scene.fingerprint()
            let root = what == "second" || what == "sync" ? scene.directory["disk/b"] : scene.repository
            if what == "sync" {
                try scene.command.run(
                    ["backup", "--bdb", scene.home, "--offline", "--force", "--without", "copy2"])
            }
            try Directory.removeEmpty(Path.join(root, "tmp"))
            try run("ln", ["-s", scene.outside, Path.join(root, "tmp")]).require(0)
            let finished: Finished
            switch what {
            case "sync": finished = try scene.command.run(["copy", "sync"])
            case "heal":
                let pack = try scene.firstPack()
                chmod(pack, 0o600)
                try Text.write("damaged", to: pack)
                finished = try scene.command.run(["heal"])
            default: finished = try scene.backup()
            }
            #expect(try scene.fingerprint() == before, "\(finished)")
            // The control: the same with a directory goes well, so it is the link that it is refused for.
            if what == "backup" || what == "heal" {
                #expect(finished.code == 1 && finished.errors.contains("symbolic link"), "\(finished)")
            }
            try Directory.removeFile(Path.join(root, "tmp"))
            try Directory.create(Path.join(root, "tmp"))
            #expect(try (what == "heal" ? scene.command.run(["heal"]) : scene.backup()).code == 0)
        }

        /// What should be a file is a pipe that nobody writes to, or a link to what only root may read: every command
        /// ends at once, and none hands out what it leads to.
        @Test(arguments: ["pack", "copy.json", "varve.json", "lock", "manifest", "copies", "ledger"])
        func whatShouldBeAFile(_ what: String) throws {
            let scene = try Scene()
            try scene.command.run(["verify", "--media"]).require(0)
            let before = try scene.fingerprint()
            let path: String
            switch what {
            case "pack": path = try scene.firstPack()
            case "manifest", "copies", "ledger":
                let place = Path.join(scene.repository, what == "manifest" ? "manifests" : what)
                path = Path.join(place, try #require(try Directory.list(place).first))
            default: path = Path.join(scene.repository, what)
            }
            for decoy in ["pipe", "link"] {
                try Directory.rename(path, to: scene.directory["kept"])
                if decoy == "pipe" {
                    #expect(mkfifo(path, 0o600) == 0)
                } else {
                    try run("ln", ["-s", Path.join(scene.outside, "one"), path]).require(0)
                }
                for arguments in [
                    ["snapshots"], ["verify"], ["backup", "--bdb", scene.home, "--offline", "--force"],
                    ["restore", "latest", "--target", scene.directory["restored"]], ["status"],
                ] {
                    let finished = try scene.command.run(arguments, seconds: 20)
                    #expect(!finished.errors.contains(Self.marker), "\(finished)")
                    #expect(!finished.output.contains(Self.marker), "\(finished)")
                }
                let verified = try scene.command.run(["verify"], seconds: 20)
                #expect(
                    verified.code != 0 || what == "lock" || what == "copies" || what == "ledger",
                    "\(verified)")
                #expect(try scene.fingerprint() == before && scene.leaks() == "", "\(what) \(decoy)")
                try run("rm", ["-rf", scene.directory["restored"]]).require(0)
                // A copy's own record was written anew by the backup: the older one would be an image of the disk.
                if try FileStatus.of(path, followLinks: false)?.kind == .regular {
                    try Directory.removeFile(scene.directory["kept"])
                    continue
                }
                try Directory.removeFile(path)
                try Directory.rename(scene.directory["kept"], to: path)
            }
            // The control: put back, all is well.
            let healed = try scene.command.run(["heal"])
            #expect(healed.code == 0, "\(healed)")
            try scene.command.requireGood("\(what)")
        }

        /// An owner of the disk who exchanges names as fast as possible.
        private static let racer = """
            import ctypes, itertools, os, sys
            os.setgid(65534); os.setuid(65534)
            libc = ctypes.CDLL(None, use_errno=True)
            pairs = [(a.encode(), b.encode()) for a, b in (p.split("|") for p in sys.argv[2:])]
            count = 0
            log = os.open(sys.argv[1], os.O_WRONLY)
            for a, b in itertools.cycle(pairs):
                for _ in range(7):
                    if libc.syscall(316, -100, a, -100, b, 2) == 0: count += 1
                os.pwrite(log, b"%d" % count, 0)
            """

        @Test(.needsRoot("for an attacker who is not")) func theDiskIsExchangedMeanwhile()
            throws
        {
            let scene = try Scene()
            let decoys = scene.directory["decoys"]
            try Directory.create(decoys, mode: 0o777)
            // What is exchanged, and for what: directories for links to root's own, files for links and pipes.
            var pairs: [String] = []
            for (number, name) in ["tmp", "manifests", "quarantine", "copies", "ledger", "indexes"]
                .enumerated()
            {
                let decoy = Path.join(decoys, "d\(number)")
                try run("ln", ["-s", scene.outside, decoy]).require(0)
                pairs.append("\(scene.repository)/\(name)|\(decoy)")
            }
            let pack = try scene.firstPack()
            for (name, decoy) in [(pack, "secret"), ("\(scene.repository)/lock", "lock")] {
                try run("ln", ["-s", Path.join(scene.outside, "one"), Path.join(decoys, decoy)]).require(0)
                pairs.append("\(name)|\(Path.join(decoys, decoy))")
            }
            #expect(mkfifo(Path.join(decoys, "pipe"), 0o666) == 0)
            pairs.append("\(scene.repository)/copy.json|\(Path.join(decoys, "pipe"))")
            pairs.append("\(Path.parent(pack))|\(Path.join(decoys, "d0"))")
            try run("chown", ["-hR", "nobody", decoys]).require(0)
            try scene.giveAway()
            let log = scene.directory["count"]
            try Text.write("0", to: log)
            chmod(log, 0o666)
            let before = try scene.fingerprint()
            let attacker = try RunningProcess("python3", ["-c", Self.racer, log] + pairs)
            func exchanges() throws -> Int { Int(try Text.read(log).prefix { $0.isNumber }) ?? 0 }
            try waitUntil("the attacker is at work") { try exchanges() > 0 }
            let wanted = Executable.isSoak ? 10_000 : 200
            for arguments in [
                ["backup", "--bdb", scene.home, "--offline", "--force"], ["verify"], ["heal"],
                ["copy", "sync"],
                ["restore", "latest", "--target", scene.directory["restored"]],
            ] {
                let start = try exchanges()
                repeat {
                    let finished = try scene.command.run(arguments, seconds: 30)
                    #expect(!finished.errors.contains(Self.marker), "\(finished)")
                    try run("rm", ["-rf", scene.directory["restored"]]).require(0)
                } while try exchanges() < start + wanted && attacker.isRunning
                #expect(attacker.isRunning, "\(attacker.errorsSoFar)")
                #expect(try scene.fingerprint() == before, "\(arguments)")
                #expect(try scene.leaks() == "", "\(arguments)")
            }
            // The control: who checks the path and then uses it is caught by the same attacker.
            let bait = scene.directory["bait"]
            try Directory.create(bait, mode: 0o755)
            try Text.write("", to: Path.join(bait, "file"))
            try attacker.killGroup()
            for name in ["x", "y"] {
                try run("rm", ["-rf", Path.join(scene.directory["disk"], name)]).require(0)
            }
            try Directory.create(scene.directory["disk/x"], mode: 0o777)
            try run("ln", ["-s", bait, scene.directory["disk/y"]]).require(0)
            try run("chown", ["-h", "nobody", scene.directory["disk/x"], scene.directory["disk/y"]]).require(
                0)
            let second = try RunningProcess(
                "python3",
                ["-c", Self.racer, log, "\(scene.directory["disk/x"])|\(scene.directory["disk/y"])"])
            let naive =
                "cd \(scene.directory["disk"]); for i in $(seq 20000); do [ -L x ] || rm -f x/file; [ -e \(bait)/file ] || exit 0; done; exit 1"
            let caught = try run("sh", ["-c", naive], seconds: 60)
            #expect(caught.code == 0, "\(caught)")
            try second.killGroup()
        }
    }
}
