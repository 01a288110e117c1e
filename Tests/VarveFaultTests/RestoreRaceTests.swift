import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension FaultTests {
    /// Root restores into a directory that another user can write, and that user exchanges names meanwhile.
    @Suite(.serialized, .needsRoot("to become another user"), .needs("python3"))
    struct RestoreRaceTests {
        static let rounds = Executable.isSoak ? 500 : 8

        /// Puts a link to the victim in place of the staging directory, and of the target, again and again.
        private static let attacker = """
            import os, sys
            os.chdir(sys.argv[1]); victim = sys.argv[2]; os.setgid(65534); os.setuid(65534)
            name = 'target.varve-incomplete'
            steps = (lambda: os.rename(name, 'aside'), lambda: os.symlink(victim, name), lambda: os.unlink(name),
                lambda: os.rename('aside', name), lambda: os.symlink(victim, 'target'), lambda: os.unlink('target'))
            done = 0
            while True:
                for step in steps:
                    try:
                        step()
                        done += 1
                        if done % 200 == 0: print(done, flush=True)
                    except OSError: pass
            """

        @Test func namesThatAreExchanged() throws {
            let environment = try ClosedEnvironment()
            let directory = environment.directory
            chmod(directory.path, 0o755)
            for name in ["victim", "attacked"] { try Directory.create(directory[name], mode: 0o755) }
            chown(directory["attacked"], 65534, 65534)
            try Text.write("mine", to: directory["victim/notes"])
            let before = try Self.state(directory["victim"])
            let running = try RunningProcess(
                "python3", ["-c", Self.attacker, directory["attacked"], directory["victim"]])
            var succeeded = 0
            for _ in 0..<Self.rounds {
                let restored = try environment.base.run([
                    "restore", "1", "--target", directory["attacked/target"], "--recover",
                ])
                #expect(running.isRunning, "\(running.errorsSoFar)")
                #expect(try Self.state(directory["victim"]) == before, "\(restored)")
                if restored.code == 0 { succeeded += 1 }
                // A name that is exchanged meanwhile ends `rm` with an error: again, then.
                try run("sh", ["-c", "until rm -rf \"$1\"/*; do :; done 2>&1", "sh", directory["attacked"]])
                    .require(0)
            }
            let exchanges = running.outputSoFar.split(separator: "\n").last.flatMap { Int($0) } ?? 0
            print(
                "namesThatAreExchanged: \(exchanges) exchanges, \(succeeded) of \(Self.rounds) restores ended well"
            )
            #expect(exchanges >= 200)

            // The control: who goes by paths is led to the victim.
            let path = directory["attacked/target.varve-incomplete"]
            try waitUntil("a file in the victim", seconds: 20, every: 0) {
                // What is in neither place can be put there by both.
                try? Directory.removeTree(directory["attacked/aside"])
                try? Directory.create(path)
                try? Text.write("led astray", to: Path.join(path, "probe"))
                return access(directory["victim/probe"], F_OK) == 0
            }
            try running.killGroup()
        }

        private static func state(_ path: String) throws -> String {
            try run(
                "sh", ["-c", "cd \"$1\" && find . -printf '%P %y %s %U %G %m %T@\\n' | sort", "sh", path]
            )
            .require(0).output
        }
    }
}
