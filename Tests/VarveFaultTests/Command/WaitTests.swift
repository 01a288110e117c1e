import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension FaultTests {
    /// `--wait`: the locks of the repository, of the environment, and of a restore's target.
    @Suite(.serialized) struct WaitTests {
        enum Held: String, CaseIterable { case repository, environment, target }

        /// The lock, as another process has it.
        private func hold(_ held: Held, _ scene: CommandScene, _ target: String) throws -> FileLock {
            let path: String
            switch held {
            case .repository: path = Path.join(scene.command.repository, "lock")
            case .environment:
                path = Path.join(scene.home, ".varve/lock")
                // A lock that nobody living has is waited for in any case.
                let text = Array("\(getpid()) \(ProcessTable.ownStartTime) \(Clock.now())\n".utf8)
                let file = try File.open(updating: path)
                try file.truncate(to: 0)
                try text.withUnsafeBytes { try file.write($0, at: 0) }
            case .target:
                try Directory.create(target + ".varve-incomplete")
                path = target + ".varve-incomplete/.varve-restore"
            }
            return try Self.take(path)
        }

        private static func take(_ path: String) throws -> FileLock {
            guard let lock = try FileLock.acquire(path, .exclusive) else {
                throw ProcessFailure("somebody has \(path)")
            }
            return lock
        }

        private func arguments(_ held: Held, _ scene: CommandScene, _ target: String) -> [String] {
            held == .target ? ["restore", "latest", "--target", target] : scene.backup
        }

        @Test(arguments: Held.allCases) func aLockThatIsGivenUp(_ held: Held) throws {
            let scene = try CommandScene()
            try scene.command.run(["init"]).require(0)
            try scene.command.run(scene.backup).require(0)
            let target = scene.newPath()
            let lock = try hold(held, scene, target)
            let arguments = arguments(held, scene, target)
            // The control: without the option, and with one that is too short, it is the error that it was.
            let before = Clock.monotonic()
            #expect(try scene.command.run(arguments).code == 11)
            let atOnce = Double(Clock.monotonic() - before) / 1e9
            let short = try scene.command.run(arguments + ["--wait", "2s"])
            #expect(short.code == 11 && short.seconds >= 2 && short.seconds < 20, "\(short)")
            #expect(atOnce < 2)
            let waiting = try scene.command.start(arguments + ["--wait", "1m"])
            try waitUntil("the word that it waits") { waiting.errorsSoFar.contains("waiting up to 60") }
            sleep(1)
            #expect(waiting.isRunning, "\(waiting.errorsSoFar)")
            _ = consume lock
            let finished = try waiting.wait(seconds: 30)
            #expect(finished.code == 0, "\(finished)")
            #expect(
                finished.errors.split(separator: "\n").count { $0.contains("waiting") } == 1, "\(finished)")
            if held == .target {
                #expect(try Directory.list(target).contains { $0.hasPrefix("log.") })
            } else {
                #expect(try Stored(scene.command.repository).manifests.count == 2)
            }
            try scene.command.requireGood("after it waited")
        }

        /// Everybody else who takes the repository's lock.
        @Test func otherCommandsWaitToo() throws {
            let scene = try CommandScene()
            try scene.command.run(["init", "--copy", scene.directory["two"]]).require(0)
            try scene.command.run(scene.backup + ["--without", "two", "--source", "a"]).require(0)
            for arguments in [
                ["copy", "sync", "two"], ["parity", "add", "10"], ["source", "rename", "a", "b"],
                ["source", "archive", "b"], ["heal", "--copy", "primary"],
            ] {
                if arguments[0] == "heal" { try damage(scene.command.repository) }
                let path = arguments[0] == "copy" ? scene.directory["two"] : scene.command.repository
                let lock = try Self.take(Path.join(path, "lock"))
                #expect(try scene.command.run(arguments).code == 11, "\(arguments)")
                let waiting = try scene.command.start(arguments + ["--wait", "1m"])
                try waitUntil("the word that it waits") { waiting.errorsSoFar.contains("waiting") }
                _ = consume lock
                let finished = try waiting.wait(seconds: 60)
                #expect(finished.code == 0, "\(finished)")
            }
            try scene.command.requireGood("after all of them")
        }

        private func damage(_ repository: String) throws {
            let manifest = try #require(Directory.list(Path.join(repository, "manifests")).max())
            try run("rm", ["-f", Path.join(repository, "manifests/" + manifest)]).require(0)
        }

        @Test func anInterruptEndsTheWaitAtOnce() throws {
            let scene = try CommandScene()
            try scene.command.run(["init"]).require(0)
            let lock = try Self.take(Path.join(scene.command.repository, "lock"))
            let waiting = try scene.command.start(scene.backup + ["--wait", "1h"])
            try waitUntil("the word that it waits") { waiting.errorsSoFar.contains("waiting") }
            let start = Clock.monotonic()
            waiting.send(SIGINT)
            let finished = try waiting.wait(seconds: 20)
            #expect(finished.code == 130, "\(finished)")
            #expect(Double(Clock.monotonic() - start) / 1e9 < 2)
            _ = consume lock
            #expect(try Stored(scene.command.repository).objects == [])
        }
    }
}
