import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

/// What a process is started with: descriptors, limits, a root directory without `/proc`.
extension ProcessTests {
    @Suite struct StartTests {
        private let directory: TemporaryDirectory
        private let varve: VarveCommand
        private var home: String { directory["home"] }

        init() throws {
            directory = try TemporaryDirectory()
            chmod(directory.path, 0o755)
            varve = try .initialized(directory["repository"])
        }

        private func writer(_ options: [String] = []) throws -> Workload {
            try Workload(
                home: home, layout: ["--methods", "btree"],
                options: ["--records", "500", "--rate", "300"] + options,
                notes: directory.path)
        }

        /// On 4 the helper gets its password, if there is one: an inherited descriptor of this number is none.
        @Test func anInheritedDescriptorIsNoPassword() throws {
            let writer = try writer()
            try Text.write("not a password\n", to: directory["something"])
            for number: Int32 in [4, 5, 6, 7] {
                let file = try OpenFile(directory["something"])
                try varve.start(["backup", "--bdb", home], descriptors: [(file.descriptor, number)])
                    .wait(seconds: 60).require(0)
            }
            try writer.stop()
        }

        private static let hidingProc = [
            "-m", "sh", "-c", "mount --make-rprivate / && mount -t tmpfs none /proc && exec \"$0\" \"$@\"",
        ]

        /// Swift reads its arguments from there. What can't be told without it is an error, the rest is done.
        @Test(
            .needsMounting(),
            .enabled(if: try run("unshare", hidingProc + ["true"]).code == 0, "/proc can't be hidden here"))
        func withoutProc() throws {
            let writer = try writer(["--remove-regions"])
            try varve.run(["backup", "--bdb", home]).require(0)
            try writer.stop()
            func without(_ arguments: [String]) throws -> Finished {
                try run("unshare", Self.hidingProc + [Executable.varve] + arguments)
            }
            let repository = ["-r", varve.repository]
            let backup = try without(["backup", "--offline", "--bdb", home] + repository)
            #expect(backup.code == 1, "\(backup)")
            #expect(backup.errors.contains("/proc"), "\(backup)")
            #expect(try varve.snapshots().count == 1)
            let verified = try without(["verify"] + repository)
            #expect(verified.code == 0, "\(verified)")
            #expect(!verified.output.contains("USAGE"))
            try without(["restore", "latest", "--target", directory["restored"]] + repository).require(0)
            #expect(try Directory.list(directory["restored"]).contains("btree1.db"))
            #expect(try without(["nonsense"]).code == 64)
            // The control.
            try varve.run(["backup", "--offline", "--bdb", home]).require(0)
        }

        /// What libdb can't write because of such a limit the application waits for: the helper does not join then.
        @Test(.needsNobody()) func aLimitOfFileSizes() throws {
            let place = directory["own"]
            try Directory.create(place)
            chown(place, 65534, 65534)
            let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
            let ready = place + "/ready"
            let application = try RunningProcess(
                "setpriv",
                nobody + [
                    Executable.workload, "run", "--home", place + "/home", "--records", "500", "--seconds",
                    "200",
                    "--rate", "300", "--methods", "btree", "--ready", ready,
                ])
            try waitUntil("the application") { access(ready, F_OK) == 0 }
            let repository = place + "/repository"
            try run("setpriv", nobody + [Executable.varve, "init", "-r", repository]).require(0)
            func backup(_ limit: String) throws -> Finished {
                try run(
                    "setpriv",
                    nobody + [
                        "bash", "-c", "ulimit -f \(limit) && exec \"$0\" \"$@\"", Executable.varve, "backup",
                        "-r",
                        repository, "--bdb", place + "/home",
                    ])
            }
            let refused = try backup("65536")
            #expect(refused.code == 1, "\(refused)")
            #expect(refused.errors.contains("ulimit -f"), "\(refused)")
            try backup("unlimited").require(0)
            // Root's helper takes the limit off where it may, and does not join where it may not.
            let mayRaise = try run("bash", ["-c", "ulimit -f 65536 && ulimit -f unlimited"]).code == 0
            let roots = try run(
                "bash",
                [
                    "-c", "ulimit -f 65536 && exec \"$0\" \"$@\"", Executable.varve, "backup", "-r",
                    varve.repository,
                    "--bdb", place + "/home",
                ])
            #expect(roots.code == (mayRaise ? 0 : 1), "\(roots)")
            #expect(roots.errors.contains("ulimit -f") == !mayRaise, "\(roots)")
            _ = try application.terminate()
        }

        /// It was a SIGILL without a word. What only shares work does it alone; what can't says what is missing.
        @Test(.needsNobody()) func noThreadToBeHad() throws {
            let writer = try writer(["--remove-regions"])
            try writer.stop()
            try varve.run(["backup", "--offline", "--bdb", home]).require(0)
            let place = directory["place"]
            mkdir(place, 0o755)
            try run("chown", ["-R", "65533:65533", varve.repository, home, place]).require(0)
            func limited(_ processes: String, _ arguments: [String]) throws -> Finished {
                try run(
                    "setpriv",
                    [
                        "--reuid=65533", "--regid=65533", "--clear-groups", "--inh-caps=-all", "bash", "-c",
                        "ulimit -u \(processes) && exec \"$0\" \"$@\"", Executable.varve,
                    ] + arguments + ["-r", varve.repository])
            }
            for part in [["--media"], ["--content"], ["--media", "--content"]] {
                let alone = try limited("1", ["verify"] + part)
                #expect(alone.code == 0, "\(part): \(alone)")
            }
            let backup = ["backup", "--offline", "--bdb", home]
            let restore = ["restore", "latest", "--target", place + "/restored"]
            let before = try limited("1000", ["snapshots"]).require(0).output
            for arguments in [backup, restore] {
                let without = try limited("1", arguments)
                #expect(without.code == 1, "\(without)")
                #expect(without.errors.contains("no thread can be started"), "\(without)")
                #expect(without.errors.contains("hint: raise the limit of processes"), "\(without)")
            }
            #expect(try limited("1000", ["snapshots"]).require(0).output == before)
            #expect(access(place + "/restored", F_OK) != 0)
            // The control: with threads both are done, and what the refused ones left is in nobody's way.
            for arguments in [backup, restore] { try limited("1000", arguments).require(0) }
        }
    }
}
