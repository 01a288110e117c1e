import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

/// The owner of an environment, or of a directory on the way to it, is not root's friend: whatever he lays in the way,
/// nothing outside of the home and the repository is read into them, changed, made or removed.
extension ProcessTests {
    @Suite(.needsNobody()) struct AttackTests {
        /// What each test protects, and the attacker's own environment beside it.
        final class Scene {
            static let nobody: uid_t = 65534
            /// No file of an environment has this size.
            static let secretSize = 4321

            let directory: TemporaryDirectory
            let varve: VarveCommand
            var home: String { directory["place/home"] }

            init() throws {
                directory = try TemporaryDirectory()
                chmod(directory.path, 0o755)
                for (name, mode) in [("place", 0o755), ("root", 0o700), ("root/logs", 0o700)]
                    as [(String, mode_t)]
                {
                    try Directory.create(directory[name])
                    chmod(directory[name], mode)
                }
                chown(directory["place"], Self.nobody, Self.nobody)
                try Text.write(String(repeating: "s", count: Self.secretSize), to: directory["root/secret"])
                chmod(directory["root/secret"], 0o600)
                try Text.write(String(repeating: "p", count: Self.secretSize), to: directory["public"])
                chmod(directory["public"], 0o644)
                for name in ["log.0000000001", "log.0000000002", "lock", "journal"] {
                    try Text.write("root's \(name)", to: directory["root/logs/\(name)"])
                }
                varve = try .initialized(directory["repository"])
            }

            /// An environment of the attacker's that nobody has open.
            func makeClosed() throws {
                let finished = try asNobody([
                    Executable.workload, "run", "--home", home, "--records", "100", "--seconds", "1",
                    "--rate",
                    "100", "--remove-regions", "--methods", "btree",
                ]).wait(seconds: 60)
                try finished.require(0)
                try Text.write("1\n", to: home + "/format")
                chown(home + "/format", Self.nobody, Self.nobody)
            }

            func makeLive(_ options: [String] = []) throws -> RunningProcess {
                let ready = directory["place/ready"]
                let writer = try asNobody(
                    [
                        Executable.workload, "run", "--home", home, "--records", "100", "--seconds", "300",
                        "--rate",
                        "100", "--methods", "btree", "--ready", ready,
                    ] + options)
                try waitUntil("the attacker's application") { access(ready, F_OK) == 0 }
                return writer
            }

            func asNobody(_ command: [String]) throws -> RunningProcess {
                try RunningProcess(
                    "setpriv",
                    ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"] + command)
            }

            /// A symbolic link of the attacker's.
            func lay(_ target: String, _ path: String) throws {
                try? Directory.removeTree(path)
                try systemCall("symlink", path) { symlink(target, path) }
                lchown(path, Self.nobody, Self.nobody)
            }

            /// Everything that is no business of the environment's: names, owners, modes, content.
            func fingerprint() throws -> [String] {
                var lines: [String] = []
                func visit(_ path: String) throws {
                    let status = try #require(try FileStatus.of(path, followLinks: false))
                    var line =
                        "\(path) \(status.kindName) \(status.mode) \(status.user) \(status.group) \(status.links)"
                    if status.kind == .regular { line += " " + (try Text.read(path)) }
                    lines.append(line)
                    if status.kind == .directory {
                        for name in try Directory.list(path) { try visit(Path.join(path, name)) }
                    }
                }
                for name in ["root", "public"] { try visit(directory[name]) }
                return lines
            }

            /// What the snapshots say of their files.
            func stored() throws -> [Manifest.StoredFile] {
                struct List: Decodable { var files: [Manifest.StoredFile] }
                return try varve.snapshots().flatMap {
                    try varve.run(["ls", $0, "--json"]).require(0).decode(List.self).files
                }
            }

            func requireNoSecret() throws {
                let stolen = try stored().filter { $0.size == UInt64(Self.secretSize) }
                #expect(stolen.isEmpty, "\(stolen.map(\.path))")
            }
        }

        private static let commands: [[String]] = [["backup", "--offline"], ["backup"], ["unwedge"]]

        private func attack(
            _ scene: Scene, _ command: [String], seconds: Double = 60
        ) throws -> Finished {
            var arguments = command + ["--bdb", scene.home]
            if command[0] == "backup" { arguments += ["-r", scene.varve.repository] }
            return try run(Executable.varve, arguments, seconds: seconds)
        }

        // MARK: Links that stay

        @Test(arguments: [".varve", ".varve/logs", ".varve/lock", ".varve/journal"])
        func aLinkWhereVarveKeepsItsOwn(_ name: String) throws {
            let scene = try Scene()
            let writer = try scene.makeLive()
            let own = scene.home + "/.varve"
            if name != ".varve" {
                try Directory.create(own)
                chown(own, Scene.nobody, Scene.nobody)
            }
            let target =
                name == ".varve" || name == ".varve/logs" ? "root/logs" : "root/logs/" + Path.name(name)
            try scene.lay(scene.directory[target], scene.home + "/" + name)
            let before = try scene.fingerprint()
            for command in Self.commands where !command.contains("--offline") {
                let finished = try attack(scene, command)
                if command[0] == "backup" || name != ".varve/logs" {
                    #expect(finished.code == 1, "\(finished)")
                    #expect(finished.errors.contains("symbolic link"), "\(finished)")
                }
                #expect(try scene.fingerprint() == before, "\(command)")
            }
            // The control: without it both work.
            try Directory.removeTree(scene.home + "/" + name)
            for command in Self.commands where !command.contains("--offline") {
                try attack(scene, command).require(0)
            }
            _ = try writer.terminate()
        }

        /// The regions of an environment of root's, beneath the attacker's names.
        @Test func linksToAnotherEnvironmentsRegions() throws {
            let scene = try Scene()
            try Directory.create(scene.directory["theirs"], mode: 0o755)
            let theirs = try Workload(
                home: scene.directory["theirs"], layout: ["--methods", "btree"],
                options: ["--records", "100", "--rate", "200"], notes: scene.directory["root"])
            try scene.makeClosed()
            for isHard in [false, true] {
                for name in try Directory.list(theirs.home) where name.hasPrefix("__db.") {
                    let path = scene.home + "/" + name
                    try? Directory.removeFile(path)
                    if isHard {
                        try systemCall("link", path) { link(theirs.home + "/" + name, path) }
                    } else {
                        try scene.lay(theirs.home + "/" + name, path)
                    }
                }
                for command in Self.commands {
                    let finished = try attack(scene, command)
                    #expect(finished.code != 0, "\(finished)")
                }
            }
            try theirs.advance(50)
            // The control: the environment itself is whole, and taken.
            try scene.varve.run(["backup", "--bdb", theirs.home]).require(0)
            try theirs.advance(50)
            try theirs.stop()
        }

        /// Root makes such a link here as the attacker can where `fs.protected_hardlinks` is off.
        @Test func hardLinksOfOthersFiles() throws {
            let scene = try Scene()
            try scene.makeClosed()
            try systemCall("link", "format") {
                unlink(scene.home + "/format")
                return link(scene.directory["root/secret"], scene.home + "/format")
            }
            let before = try scene.fingerprint()
            let finished = try attack(scene, ["backup", "--offline"])
            #expect(finished.code != 0, "\(finished)")
            try scene.requireNoSecret()
            #expect(try !scene.stored().contains { $0.path == "format" })
            try Directory.removeFile(scene.home + "/format")
            // What is written to would be written to root's file.
            try systemCall("link", "lock") {
                unlink(scene.home + "/.varve/lock")
                return link(scene.directory["public"], scene.home + "/.varve/lock")
            }
            chmod(scene.directory["public"], 0o666)
            let now = try scene.fingerprint()
            let locked = try attack(scene, ["backup", "--offline"])
            #expect(locked.code == 1, "\(locked)")
            #expect(try scene.fingerprint() == now)
            #expect(before.count == now.count)
        }

        // MARK: What never answers

        @Test func aNamedPipeIsNoFile() throws {
            let scene = try Scene()
            try scene.makeClosed()
            func tryAll(_ name: String, _ commands: [[String]]) throws {
                let path = scene.home + "/" + name
                let aside = scene.directory["place/aside"]
                let isThere = rename(path, aside) == 0
                if name.hasPrefix(".varve") {
                    try Directory.createAll(scene.home + "/.varve")
                    chown(scene.home + "/.varve", Scene.nobody, Scene.nobody)
                }
                try systemCall("mkfifo", path) { mkfifo(path, 0o666) }
                chown(path, Scene.nobody, Scene.nobody)
                for command in commands {
                    let finished = try attack(scene, command, seconds: 20)
                    #expect(finished.code == 1, "\(name): \(finished)")
                }
                try Directory.removeFile(path)
                if isThere { rename(aside, path) }
            }
            let offline = ["backup", "--offline"]
            try tryAll("log.0000000001", [offline])
            try tryAll("__db.001", Self.commands)
            try tryAll(".varve/lock", [offline, ["unwedge"]])
            let writer = try scene.makeLive()
            try tryAll(".varve/journal", [["backup"], ["unwedge"]])
            _ = try writer.terminate()
        }

        /// libdb panics for everybody where it can't open a log, and waits for a named pipe for ever.
        @Test(arguments: ["a named pipe", "a link to root's file", "a file of root's", "a directory"])
        func aLogThatCanNotBeOpened(_ what: String) throws {
            let scene = try Scene()
            // Without a checkpoint, libdb would have no reason to open a log.
            let writer = try scene.makeLive(["--checkpoint-ms", "100"])
            sleep(milliseconds: 500)
            let log = Path.join(scene.home, "log.0000000001")
            let aside = scene.directory["place/aside"]
            #expect(rename(log, aside) == 0)
            switch what {
            case "a named pipe":
                #expect(mkfifo(log, 0o666) == 0)
                chown(log, Scene.nobody, Scene.nobody)
            case "a link to root's file": try scene.lay(scene.directory["root/secret"], log)
            case "a directory": try Directory.create(log, mode: 0o777)
            default:
                try run("cp", [aside, log]).require(0)
                chmod(log, 0o600)
            }
            let before = try scene.fingerprint()
            let refused = try attack(scene, ["backup"], seconds: 20)
            #expect(refused.code == 1 && refused.errors.contains("log.0000000001"), "\(refused)")
            #expect(try scene.fingerprint() == before)
            #expect(rename(log, scene.directory["place/was"]) == 0 && rename(aside, log) == 0)
            // The control: the application has not noticed, and is backed up.
            #expect(writer.isRunning, "\(writer.errorsSoFar)")
            try attack(scene, ["backup"]).require(0)
            try writer.terminate().require(0)
        }

        // MARK: Races

        /// Exchanges names as fast as it can, with the attacker's rights.
        private final class Racer {
            private let isDone = Monitor(false)
            private let count = Monitor(0)
            private var thread: WorkerThread?

            /// - Parameter pairs: what is there, and what takes its place in turn.
            init(_ place: String, _ pairs: [(String, String)]) throws {
                let rights = try FileRights(ofEnvironment: RootDirectory(place))
                guard rights.user == Scene.nobody else {
                    throw ProcessFailure("not the attacker's: \(place)")
                }
                let (isDone, count) = (isDone, count)
                thread = try WorkerThread {
                    try? rights.perform {
                        while !isDone.change({ $0 }) {
                            for (there, other) in pairs {
                                let aside = there + ".aside"
                                for (from, to) in [
                                    (there, aside), (other, there), (there, other), (aside, there),
                                ] {
                                    rename(from, to)
                                    usleep(100)
                                }
                            }
                            count.change { $0 += pairs.count }
                        }
                    }
                }
            }

            /// So far.
            var exchanges: Int { count.change { $0 } }

            /// - Returns: how many exchanges there were.
            func stop() -> Int {
                isDone.change { $0 = true }
                thread?.join()
                return count.change { $0 }
            }
        }

        /// Of names, while each command runs again and again.
        private static let exchanges = Executable.isSoak ? 10_000 : 200

        /// - Returns: how often it ended with which code.
        private func raceAgainst(_ racer: Racer, _ scene: Scene, _ command: [String]) throws -> [Int32: Int] {
            var codes: [Int32: Int] = [:]
            repeat {
                codes[try attack(scene, command).code, default: 0] += 1
            } while racer.exchanges < Self.exchanges || codes.values.reduce(0, +) < 5
            return codes
        }

        @Test(arguments: commands) func filesThatAreExchanged(_ command: [String]) throws {
            let scene = try Scene()
            var writer: RunningProcess?
            if command.contains("--offline") {
                try scene.makeClosed()
            } else {
                writer = try scene.makeLive()
            }
            let home = scene.home
            try attack(scene, command).require(0)
            try Text.write("1\n", to: home + "/format")
            try Directory.create(home + "/.varve")
            for path in ["/format", "/.varve"] { chown(home + path, Scene.nobody, Scene.nobody) }
            let place = scene.directory["place"]
            try scene.lay(scene.directory["root/secret"], place + "/1")
            try scene.lay(scene.directory["root/logs"], place + "/2")
            try scene.lay(scene.directory["root/secret"], place + "/3")
            let before = try scene.fingerprint()
            let racer = try Racer(
                place,
                [
                    (home + "/format", place + "/1"), (home + "/.varve", place + "/2"),
                    (home + "/DBVERSION", place + "/3"),
                ])
            let codes = try raceAgainst(racer, scene, command)
            print("\(command): \(racer.stop()) exchanges, exit codes \(codes)")
            #expect(try scene.fingerprint() == before)
            try scene.requireNoSecret()
            _ = try writer?.terminate()
        }

        /// The control of the one before: what the owner may read is met in such a race.
        @Test func theRaceIsMet() throws {
            let scene = try Scene()
            try scene.makeClosed()
            let place = scene.directory["place"]
            try scene.lay(scene.directory["public"], place + "/1")
            let racer = try Racer(place, [(scene.home + "/format", place + "/1")])
            let deadline = Clock.monotonic() + 120_000_000_000
            while Clock.monotonic() < deadline {
                _ = try attack(scene, ["backup", "--offline"])
                if try scene.stored().contains(where: { $0.size == UInt64(Scene.secretSize) }) { break }
            }
            #expect(racer.stop() > 0)
            #expect(try scene.stored().contains { $0.size == UInt64(Scene.secretSize) })
        }

        /// The home itself is exchanged for a link to an environment of root's.
        @Test func aHomeThatIsExchanged() throws {
            let scene = try Scene()
            try scene.makeClosed()
            let roots = scene.directory["root/environment"]
            let finished = try run(
                Executable.workload,
                [
                    "run", "--home", roots, "--records", "100", "--seconds", "1", "--rate", "100",
                    "--remove-regions", "--methods", "hash",
                ])
            try finished.require(0)
            let place = scene.directory["place"]
            try scene.lay(roots, place + "/1")
            let before = try Directory.list(roots)
            let racer = try Racer(place, [(scene.home, place + "/1")])
            let codes = try raceAgainst(racer, scene, ["backup", "--offline"])
            print("a home: \(racer.stop()) exchanges, exit codes \(codes)")
            #expect(try Directory.list(roots) == before)
            #expect(try !scene.stored().contains { $0.path.hasPrefix("hash") })
            // The control: named by itself it is taken.
            try scene.varve.run(["backup", "--offline", "--bdb", roots]).require(0)
            #expect(try scene.stored().contains { $0.path.hasPrefix("hash") })
        }
    }
}
