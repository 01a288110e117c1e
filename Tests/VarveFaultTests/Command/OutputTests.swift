import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension FaultTests {
    /// What goes to standard output, what to standard error, and what `-q` leaves of both.
    @Suite(.serialized) struct OutputTests {
        /// A script can take the result with `$(...)`.
        @Test func aResultIsOneLineOnStandardOutput() throws {
            let scene = try CommandScene()
            var results: [String] = []
            try scene.performAll { name, finished in
                let lines = finished.output.split(separator: "\n", omittingEmptySubsequences: false)
                #expect(finished.code == 0, "\(finished)")
                #expect(lines.count == 2 && !lines[0].isEmpty && lines[1].isEmpty, "\(name): \(finished)")
                #expect(!finished.errors.contains(lines[0]), "\(name): \(finished)")
                results.append(finished.output)
            }
            for words in [
                "restores to 2", "on 2 of 2 copies", "all good", "database files verified", "healed",
            ] {
                #expect(results.contains { $0.contains(words) }, "\(words): \(results)")
            }
            try scene.listAll { name, finished in
                #expect(finished.code == 0 && !finished.output.isEmpty, "\(name): \(finished)")
            }
        }

        @Test func quietAndGoodIsSilence() throws {
            for flag in ["-q", "--quiet"] {
                let scene = try CommandScene([flag])
                var count = 0
                try scene.performAll { name, finished in
                    #expect(finished.code == 0, "\(finished)")
                    #expect(finished.output.isEmpty && finished.errors.isEmpty, "\(name): \(finished)")
                    count += 1
                }
                // The control is the test before: each of them says something without the flag.
                #expect(count == 17)
                let status = try scene.perform(["status"])
                #expect(status.code == 0 && status.output.isEmpty && status.errors.isEmpty, "\(status)")
                try scene.listAll { name, finished in
                    guard name != "status" else { return }
                    #expect(finished.code == 0 && !finished.output.isEmpty, "\(name): \(finished)")
                }
            }
        }

        /// A warning of a run that ends with 0 is not needed; one that tells why it does not is.
        @Test func quietSaysWhatNeedsAPerson() throws {
            let scene = try CommandScene()
            let away = directoryOfCopy(scene)
            try scene.command.run(["init", "--copy", away]).require(0)
            try scene.command.run(scene.backup).require(0)
            try run("mv", [away, away + ".away"]).require(0)
            let loud = try scene.command.run(scene.backup).require(0)
            #expect(loud.errors.contains("warning: not on"), "\(loud)")
            let quiet = try scene.command.run(scene.backup + ["-q"]).require(0)
            #expect(quiet.output.isEmpty && quiet.errors.isEmpty, "\(quiet)")
            let required = try scene.command.run(scene.backup + ["-q", "--require", "2"])
            #expect(required.code == 1 && required.output.isEmpty, "\(required)")
            #expect(required.errors.contains("2") && required.errors.contains("varve: "), "\(required)")

            let overdue = ["status", "--max-age", "1s", "--min-copies", "2"]
            let status = try scene.command.run(overdue + ["-q"])
            #expect(status.code == 3 && status.output.isEmpty, "\(status)")
            let problems = status.errors.split(separator: "\n")
            #expect(!problems.isEmpty && problems.allSatisfy { $0.hasPrefix("problem: ") }, "\(status)")

            let pack = try #require(Stored(scene.command.repository).objects.first { $0.hasPrefix("packs/") })
            let name = String(pack.dropFirst("packs/".count))
            let path = Path.join(scene.command.repository, "packs/\(name.prefix(2))/\(name)")
            chmod(path, 0o600)
            try run("truncate", ["-s", "100", path]).require(0)
            let damaged = try scene.command.run(["verify", "-q"])
            #expect(damaged.code == 1 && damaged.output.isEmpty, "\(damaged)")
            #expect(damaged.errors.contains("damaged: ") && damaged.errors.contains(name), "\(damaged)")
            #expect(damaged.errors.contains("lost: snapshot 1-"), "\(damaged)")
            let parity = try scene.command.run(["parity", "add", "10", "-q"])
            #expect(parity.code == 3 && parity.output.isEmpty && parity.errors.contains(name), "\(parity)")
        }

        /// What a run has made up for is said to who asks for it; standard output stays what it was.
        @Test func verbose() throws {
            let scene = try CommandScene()
            try scene.command.run(["init"]).require(0)
            try scene.command.run(scene.backup).require(0)
            let good = try scene.command.run(["snapshots", "-v"]).require(0)
            #expect(good.errors.isEmpty, "the control: \(good)")
            let tables = Path.join(scene.command.repository, "summaries")
            let name = try #require(try Directory.list(tables).first)
            chmod(Path.join(tables, name), 0o600)
            try run("truncate", ["-s", "10", Path.join(tables, name)]).require(0)
            let silent = try scene.command.run(["snapshots"]).require(0)
            #expect(silent.errors.isEmpty && silent.output == good.output, "\(silent)")
            for words in [["snapshots", "-v"], ["--verbose", "snapshots"]] {
                let loud = try scene.command.run(words).require(0)
                #expect(loud.output == good.output, "\(loud)")
                let lines = loud.errors.split(separator: "\n")
                let isTold = lines.allSatisfy { $0.hasPrefix("note: summaries/\(name): it can't be used") }
                #expect(!lines.isEmpty && isTold, "\(loud)")
            }
        }

        private func directoryOfCopy(_ scene: CommandScene) -> String { scene.directory["two"] }

        /// The snapshot is stored: that nobody reads of it changes nothing.
        @Test func aResultThatCannotBePrinted() throws {
            let scene = try CommandScene()
            try scene.command.run(["init"]).require(0)
            let full = try File.open(updating: "/dev/full")
            let stored = try scene.command.start(scene.backup, descriptors: [(full.descriptor, 1)]).wait(
                seconds: 60)
            #expect(stored.code == 0 && stored.errors.contains("snapshot 1-"), "\(stored)")
            // A document was asked for, and is not there.
            let document = try scene.command.start(
                scene.backup + ["--json"], descriptors: [(full.descriptor, 1)]
            ).wait(seconds: 60)
            #expect(document.code == 1 && document.errors.contains("standard output"), "\(document)")
            #expect(try Stored(scene.command.repository).manifests.count == 2)
        }

        /// A file that was opened later would take the number, and the result would go into it.
        @Test func closedStreams() throws {
            let scene = try CommandScene()
            try scene.command.run(["init"]).require(0)
            guard let lock = try FileLock.acquire(Path.join(scene.command.repository, "lock"), .exclusive)
            else {
                throw ProcessFailure("somebody writes")
            }
            func start(_ redirections: String) throws -> RunningProcess {
                try RunningProcess(
                    "/bin/sh",
                    ["-c", "exec \"$0\" \"$@\" \(redirections)", Executable.varve] + scene.backup
                        + ["--wait", "1m", "-r", scene.command.repository])
            }
            let closed = try [start(">&-"), start("<&- >&- 2>&-")]
            for (running, streams) in zip(closed, [[1], [0, 1, 2]]) {
                try waitUntil("the word that it waits, or some time") {
                    running.errorsSoFar.contains("waiting")
                        || running.errorsSoFar.isEmpty && running.isRunning
                }
                sleep(1)
                for stream in streams {
                    let link = try File.linkTarget("/proc/\(running.process)/fd/\(stream)")
                    #expect(link == "/dev/null", "\(stream): \(link)")
                }
            }
            _ = consume lock
            let first = try closed[0].wait(seconds: 60)
            #expect(first.code == 0 && first.errors.contains("the result can't be printed"), "\(first)")
            let second = try closed[1].wait(seconds: 60)
            #expect(second.code == 0 && second.errors.isEmpty, "\(second)")
            #expect(try Stored(scene.command.repository).manifests.count == 2)
            // What was to be printed is an error where it matters.
            let list = try run(
                "/bin/sh",
                ["-c", "exec \"$0\" snapshots -r \(scene.command.repository) >&-", Executable.varve])
            #expect(list.code == 1 && list.errors.contains("standard output"), "\(list)")
            try scene.command.requireGood("after closed streams")
        }

        /// On a terminal of 60 columns, where a name of an object has 70 characters.
        @Test(.needs("script"), arguments: [60, 12]) func progressFitsTheTerminal(_ width: Int) throws {
            let scene = try CommandScene()
            try scene.command.run(["init"]).require(0)
            try scene.command.run(scene.backup).require(0)
            let verify = ["verify", "--media", "--restart", "--rate", "200KiB", "--max-duration", "2s"]
            let words = ([Executable.varve] + verify + ["-r", scene.command.repository]).joined(
                separator: " ")
            let shown = try run(
                "script",
                ["-qec", "stty cols \(width); \(words) 2>&1 >\(scene.directory["out"])", "/dev/null"])
            let lines = shown.output.split(separator: "\r").flatMap { $0.split(separator: "\u{1B}[K") }
                .filter { ($0.contains(" KiB") || $0.contains("…")) && !$0.contains("remaining") }
            #expect(lines.count >= 2, "\(shown)")
            #expect(lines.allSatisfy { $0.count < width }, "\(lines.map { ($0, $0.count) })")
            if width == 60 { #expect(lines.contains { $0.contains("…") }, "\(lines)") }
            // Into a file there is none.
            let silent = try scene.command.run(verify)
            #expect(!silent.errors.contains("\u{1B}") && !silent.errors.contains("\r"), "\(silent)")
        }

        /// What the command paints is obeyed; what a name would paint is not.
        @Test(.needs("script")) func colours() throws {
            let scene = try CommandScene()
            try scene.command.run(["init"]).require(0)
            try scene.command.run(scene.backup + ["--source", "a"]).require(0)
            try scene.command.run(["verify"]).require(0)
            let words =
                "env -u NO_COLOR TERM=xterm \(Executable.varve) -r \(scene.command.repository) status"
            let shown = try run("script", ["-qec", words, "/dev/null"])
            #expect(shown.output.contains("\u{1B}[32mall is well\u{1B}[0m"), "\(shown)")
            #expect(!shown.output.contains("\\u{1B}"), "\(shown)")
            #expect(try !scene.command.run(["status"]).output.contains("\u{1B}"))
        }
    }
}
