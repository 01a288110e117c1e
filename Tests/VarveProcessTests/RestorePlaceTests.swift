import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// Where restored directories go, and what recovery reaches there: databases by absolute names, directories
    /// outside of the home, other users, roots that are no mount point.
    @Suite struct RestorePlaceTests {
        private static let small = "--records 1000 --checkpoint-ms 0"

        /// Databases that the application opened by absolute names (389 Directory Server, Cyrus), in a directory of their
        /// own. Recovery of the restored files once found nothing at those names, or the live files, and ended well.
        @Test func absoluteNames() throws {
            let outside = try TemporaryDirectory()
            let environment = try LiveEnvironment(
                .init(
                    "absolute names", "btree,hash", place: "--absolute \(outside.path)", options: Self.small,
                    directories: "--data-dir \(outside.path)"))
            let backup = try environment.goodBackup()
            let time = try #require(backup.recovery).restoresTo
            let committed = try environment.workload.committed(at: time)
            // Elsewhere, while the application goes on.
            let restored = try environment.varve.run([
                "restore", backup.snapshot, "--target", environment.directory["elsewhere"], "--recover",
            ]).require(0)
            let place = environment.directory["elsewhere/external/0-\(Path.name(outside.path))"]
            #expect(restored.errors.contains("\(outside.path) is now \(place)"), "\(restored)")
            try environment.workload.stop()
            let elsewhere = try Workload.check(
                environment.directory["elsewhere"], layout: ["--methods", "btree,hash", "--absolute", place])
            #expect(elsewhere >= committed)

            // The plain way where they lay is the measure: the same records.
            let live = try Fingerprint(outside.path)
            let plain = environment.directory["plain"]
            try environment.varve.run(["restore", backup.snapshot, "--target", plain]).require(0)
            #expect(try Fingerprint(outside.path) == live)
            try Self.move(outside.path, to: environment.directory["gone"])
            try run("sh", ["-c", "cp -a \"$1\"/external/0-*/. \"$2\"", "sh", plain, outside.path]).require(0)
            try run("db5.3_recover", ["-c", "-h", plain]).require(0)
            for name in ["btree1.db", "hash2.db"] {
                let there = try run("db5.3_dump", [Path.join(place, name)]).require(0).output
                let here = try run("db5.3_dump", [Path.join(outside.path, name)]).require(0).output
                #expect(Self.records(there) == Self.records(here) && !there.isEmpty)
            }

            // The control: elsewhere, with nothing at the old names, the vendor's recovery ends well and reaches none.
            try Self.empty(outside.path)
            let control = environment.directory["control"]
            try environment.varve.run(["restore", backup.snapshot, "--target", control]).require(0)
            let before = try Fingerprint(Path.join(control, "external"))
            _ = try run("db5.3_recover", ["-c", "-h", control])
            #expect(try Fingerprint(Path.join(control, "external")) == before)

            // In place.
            try Self.empty(outside.path)
            try Self.move(environment.home, to: environment.directory["gone home"])
            let user = try #require(try FileStatus.of(outside.path)).user
            try environment.varve.run([
                "restore", backup.snapshot, "--target", environment.home, "--recover", "--in-place",
                "--owner",
                "\(user)",
            ]).require(0)
            #expect(try Directory.list(outside.path) == ["btree1.db", "hash2.db"])
            #expect(try environment.workload.check(environment.home) == elsewhere)
        }

        /// Names that are ciphertext in the logs lead where they would in the clear: to the restored files.
        @Test func encryptedAbsoluteNames() throws {
            let outside = try TemporaryDirectory()
            let environment = try LiveEnvironment(
                .init(
                    "encrypted names", "btree,hash", place: "--absolute \(outside.path)", options: Self.small,
                    directories: "--data-dir \(outside.path)", password: .file))
            let backup = try environment.goodBackup()
            let committed = try environment.workload.committed(at: try #require(backup.recovery).restoresTo)
            try environment.workload.stop()
            let live = try Fingerprint(outside.path)
            let (elsewhere, password) = (
                environment.directory["elsewhere"], environment.directory["password"]
            )
            let restore = ["restore", backup.snapshot, "--target"]
            try environment.varve.run(restore + [elsewhere, "--recover", "--password-file", password])
                .require(0)
            #expect(try Fingerprint(outside.path) == live)
            let layout = [
                "--methods", "btree,hash", "--absolute",
                Path.join(elsewhere, "external/0-\(Path.name(outside.path))"),
                "--encrypt", password,
            ]
            #expect(try Workload.check(elsewhere, layout: layout) >= committed)

            // The control: the vendor's recovery meets the live files at those names, which are newer than its logs.
            let plain = environment.directory["plain"]
            try environment.varve.run(restore + [plain]).require(0)
            let secret = try Text.read(password).split(separator: "\n").first.map(String.init) ?? ""
            let recovered = try run("db5.3_recover", ["-c", "-h", plain, "-P", secret])
            #expect(recovered.code != 0 && recovered.errors.contains(outside.path), "\(recovered)")
        }

        /// Of a dump, what follows the header, in the order of the bytes: a hash may be laid out otherwise.
        private static func records(_ dump: String) -> [Substring] {
            guard let header = dump.range(of: "HEADER=END\n") else { return [] }
            return dump[header.upperBound...].split(separator: "\n").sorted()
        }

        private static func move(_ path: String, to other: String) throws {
            try run("cp", ["-a", path, other]).require(0)
            try empty(path)
            if path.hasSuffix("/environment") { try Directory.removeTree(path) }
        }

        private static func empty(_ path: String) throws {
            for name in try Directory.list(path) { try run("rm", ["-rf", Path.join(path, name)]).require(0) }
        }

        /// An environment of another user's, with directories outside of its home in `DB_CONFIG`.
        private func ownedEnvironment() throws -> (TemporaryDirectory, VarveCommand, owner: UInt32) {
            let directory = try TemporaryDirectory()
            chmod(directory.path, 0o755)
            for name in ["data", "logs"] { try Directory.create(directory[name], mode: 0o755) }
            try run(
                Executable.workload,
                [
                    "run", "--home", directory["home"], "--data-dir", directory["data"], "--log-dir",
                    directory["logs"], "--seconds", "0.5", "--remove-regions", "--records", "500",
                ]
            ).require(0)
            let owner: UInt32 = Host.isRoot ? 4711 : geteuid()
            if Host.isRoot {
                for name in ["home", "data", "logs"] {
                    try run("chown", ["-R", "4711:4711", directory[name]]).require(0)
                }
            }
            let command = try VarveCommand.initialized(directory["repository"])
            try command.run(["backup", "--bdb", directory["home"], "--offline"]).require(0)
            for name in ["home", "data", "logs"] {
                try Directory.rename(directory[name], to: directory["gone-" + name])
            }
            return (directory, command, owner)
        }

        @Test func directoriesInPlace() throws {
            let (directory, command, owner) = try ownedEnvironment()
            let arguments = ["restore", "latest", "--target", directory["home"], "--recover", "--in-place"]
            for name in ["data", "logs"] {
                try Directory.create(directory[name], mode: 0o755)
                if Host.isRoot { chown(directory[name], owner, owner) }
            }
            // Another's file does not matter, one of the same name does, and then nothing is written.
            try Text.write("mine", to: directory["data/notes"])
            try Text.write("mine", to: directory["data/btree1.db"])
            let before = try Fingerprint(directory.path)
            let clash = try command.run(arguments)
            #expect(clash.code == 1 && clash.errors.contains("data/btree1.db exists already"), "\(clash)")
            #expect(try Fingerprint(directory.path) == before)
            try Directory.removeFile(directory["data/btree1.db"])
            let plan = try command.run(arguments + ["--dry-run"]).require(0)
            #expect(plan.output.contains("data: \(directory["data"]) → \(directory["data"])"), "\(plan)")
            let restored = try command.run(arguments).require(0)
            #expect(!restored.errors.contains("change:"), "\(restored)")
            #expect(try Directory.list(directory["data"]) == ["btree1.db", "hash2.db", "notes"])
            #expect(try Text.read(directory["data/notes"]) == "mine")
            #expect(try !Directory.list(directory["logs"]).isEmpty)
            for path in try FileTree.files(in: directory["data"]) + FileTree.files(in: directory["logs"]) {
                guard Path.name(path) != "notes" else { continue }
                #expect(try FileStatus.of(path)?.user == owner, "\(path)")
            }
            // The application's own settings open it.
            _ = try Workload.check(
                directory["home"],
                layout: ["--data-dir", directory["data"], "--log-dir", directory["logs"]])
        }

        @Test func directoriesElsewhere() throws {
            let (directory, command, owner) = try ownedEnvironment()
            let mapped = try TemporaryDirectory()
            chmod(mapped.path, 0o755)
            if Host.isRoot { chown(mapped.path, owner, owner) }
            let target = directory["new"]
            let restored = try command.run([
                "restore", "latest", "--target", target, "--recover", "--map",
                "\(directory["logs"])=\(mapped.path)",
            ]).require(0)
            #expect(restored.errors.contains("DB_CONFIG names the new places"), "\(restored)")
            #expect(try Directory.list(mapped.path).allSatisfy { $0.hasPrefix("log.") })
            #expect(try Directory.list(Path.join(target, "external/0-data")) == ["btree1.db", "hash2.db"])
            _ = try Workload.check(target, layout: [])
            #expect(access(directory["data"], F_OK) != 0 && access(directory["logs"], F_OK) != 0)
        }

        /// `rm -rf home/*` leaves `.varve`: that is no file of anybody's.
        @Test func whatVarveKeepsInAHomeIsNoObstacle() throws {
            let (directory, command, _) = try ownedEnvironment()
            let target = directory["again"]
            for path in [target, Path.join(target, ".varve")] { try Directory.create(path) }
            try Text.write("kept", to: Path.join(target, ".varve/notes"))
            let arguments = ["restore", "latest", "--target", target, "--recover"]
            // The control.
            try Text.write("mine", to: Path.join(target, "notes"))
            #expect(try command.run(arguments).require(1).errors.contains("it holds notes"))
            try Directory.removeFile(Path.join(target, "notes"))
            try command.run(arguments).require(0)
            #expect(try Text.read(Path.join(target, ".varve/notes")) == "kept")
            _ = try Workload.check(target, layout: [])
        }

        /// A manifest is not to be trusted with another user's directory, root's above all.
        @Test(.needsRoot("to give files to others")) func directoriesOfOthers() throws {
            let (directory, command, _) = try ownedEnvironment()
            let arguments = ["restore", "latest", "--target", directory["home"], "--in-place"]
            for user in [0, 4712] as [UInt32] {
                for name in ["data", "logs"] {
                    try Directory.create(directory[name], mode: 0o777)
                    chown(directory[name], user, user)
                }
                let before = try Fingerprint(directory.path)
                let refused = try command.run(arguments)
                #expect(refused.code == 1 && refused.errors.contains("belongs to user \(user)"), "\(refused)")
                #expect(try Fingerprint(directory.path) == before)
            }
            // Where the directory is missing, the kernel says whether its owner may make it.
            for name in ["data", "logs"] { try Directory.removeEmpty(directory[name]) }
            let refused = try command.run(arguments)
            #expect(refused.code == 1 && refused.errors.contains("can't create"), "\(refused)")
            #expect(access(directory["data"], F_OK) != 0 && access(directory["home"], F_OK) != 0)
            // By the word of a person it is done.
            chown(directory.path, 4713, 4713)
            try command.run(arguments + ["--owner", "4713"]).require(0)
            #expect(try FileStatus.of(directory["data/btree1.db"])?.user == 4713)
        }

        /// Who is not root has it in a user namespace.
        @Test(.needsRoot("to give files to others")) func unprivileged() throws {
            let place = try AnotherPlace()
            let (directory, command, _) = try ownedEnvironment()
            try run("chmod", ["-R", "a+rX", command.repository]).require(0)
            try Directory.create(directory["nobody"], mode: 0o777)
            chmod(directory["nobody"], 0o777)
            let target = directory["nobody/target"]
            let restored = try run(
                "setpriv",
                [
                    "--reuid", "65534", "--regid", "65534", "--clear-groups", place.varve, "restore", "-r",
                    command.repository, "latest", "--target", target, "--recover", "--json",
                ])
            #expect(restored.code == 0, "\(restored)")
            if restored.output.contains("\"isolated\" : false") {
                print("unprivileged: no user namespaces here")
            }
            _ = try Workload.check(target, layout: [])
        }

        /// A chroot whose root directory is no mount point, as build machines have it: nothing needs to be mounted.
        @Test(.needsRoot("to give files to others")) func inAChroot() throws {
            let place = try AnotherPlace()
            let (directory, command, _) = try ownedEnvironment()
            let root = try ChangedRoot()
            try root.bind(directory.path)
            try root.bind(place.directory.path)
            try root.bind(Executable.directory)
            try Directory.create(Path.join(root.path, "scratch"), mode: 0o755)
            let drill = try run(
                "chroot",
                [
                    root.path, Executable.varve, "verify", "-r", command.repository, "--drill", "--scratch",
                    "/scratch", "--json",
                ])
            #expect(drill.code == 0 && drill.output.contains("\"isolated\" : true"), "\(drill)")
            let restored = try run(
                "chroot",
                [
                    root.path, Executable.varve, "restore", "-r", command.repository, "latest", "--target",
                    "/scratch/target", "--recover",
                ])
            #expect(restored.code == 0, "\(restored)")
            _ = try Workload.check(Path.join(root.path, "scratch/target"), layout: [])
            // Nothing is left mounted there.
            let mounts = try Text.read("/proc/self/mountinfo").split(separator: "\n")
            #expect(mounts.count { $0.contains(" \(root.path)/scratch") } == 0)
        }

        /// Without namespaces and without the right to change the root, only what the files themselves say counts.
        @Test(.needsRoot("to give files to others")) func unprivilegedInAChroot() throws {
            let (directory, command, _) = try ownedEnvironment()
            let named = try LiveEnvironment(.init("absolute name", "btree,hash", options: Self.small))
            try Text.write("key\nvalue\n", to: named.directory["records"])
            try run(
                "db5.3_load",
                [
                    "-T", "-t", "btree", "-f", named.directory["records"], "-h", named.home,
                    Path.join(named.home, "extra.db"),
                ]
            ).require(0)
            _ = try named.goodBackup()
            try named.workload.stop()
            let root = try ChangedRoot()
            for path in [directory.path, named.directory.path, Executable.directory] { try root.bind(path) }
            for repository in [command.repository, named.varve.repository] {
                try run("chmod", ["-R", "a+rX", Path.parent(repository)]).require(0)
            }
            try Directory.create(Path.join(root.path, "scratch"), mode: 0o777)
            chmod(Path.join(root.path, "scratch"), 0o777)
            func restore(_ repository: String, _ target: String) throws -> Finished {
                try run(
                    "chroot",
                    [
                        "--userspec=65534:65534", root.path, Executable.varve, "restore", "-r", repository,
                        "latest", "--target", target, "--recover",
                    ])
            }
            // Directories in DB_CONFIG are named anew before.
            let harmless = try restore(command.repository, "/scratch/harmless")
            #expect(harmless.code == 0, "\(harmless)")
            _ = try Workload.check(Path.join(root.path, "scratch/harmless"), layout: [])
            let refused = try restore(named.varve.repository, "/scratch/refused")
            #expect(refused.code == 1 && refused.errors.contains("could write to other files"), "\(refused)")
            #expect(refused.errors.contains("extra.db"), "\(refused)")
            #expect(access(Path.join(root.path, "scratch/refused"), F_OK) != 0)
        }

        /// Users of one group share a repository: what is made in a set-group-ID directory is the group's.
        @Test func setGroupID() throws {
            let environment = try LiveEnvironment(
                .init("group", "btree,hash", place: "--subdir", options: Self.small))
            chmod(environment.home, 0o2755)
            chmod(Path.join(environment.home, "sub"), 0o2755)
            chmod(Path.join(environment.home, "sub/btree1.db"), 0o6664)
            let backup = try environment.goodBackup()
            try environment.workload.stop()
            let copy = try environment.restore(backup.snapshot)
            #expect(try FileStatus.of(copy)?.mode == 0o2755)
            #expect(try FileStatus.of(Path.join(copy, "sub"))?.mode == 0o2755)
            // Of files nothing of that kind comes back.
            #expect(try FileStatus.of(Path.join(copy, "sub/btree1.db"))?.mode == 0o664)
        }
    }
}

/// The executables where every user may read them.
private final class AnotherPlace {
    let directory: TemporaryDirectory
    var varve: String { directory["varve"] }

    init() throws {
        directory = try TemporaryDirectory()
        chmod(directory.path, 0o755)
        for name in [Executable.varve, Executable.helper] {
            try run("cp", [name, directory.path]).require(0)
        }
    }
}

/// A directory with the system's directories bound into it; it is no mount point itself.
private final class ChangedRoot {
    let directory: TemporaryDirectory
    var path: String { directory.path }
    private var mounts: [String] = []

    init() throws {
        directory = try TemporaryDirectory()
        chmod(directory.path, 0o755)
        for name in ["/bin", "/lib", "/lib64", "/usr", "/opt", "/etc", "/dev", "/proc"] {
            guard let status = try FileStatus.of(name, followLinks: false) else { continue }
            if status.kind == .symbolicLink {
                try run("cp", ["-a", name, path]).require(0)
            } else {
                try bind(name)
            }
        }
        let template = Path.join(path, "tmp")
        if try FileStatus.of(template) == nil { try Directory.create(template, mode: 0o777) }
        chmod(template, 0o1777)
    }

    func bind(_ directory: String) throws {
        let place = path + directory
        try Directory.createAll(place, mode: 0o755)
        // With what is mounted beneath, such as a toolchain; unmounted here alone.
        try run("mount", ["--rbind", directory, place]).require(0)
        try run("mount", ["--make-rslave", place]).require(0)
        mounts.append(place)
    }

    deinit { for mount in mounts.reversed() { _ = try? run("umount", ["-l", mount]) } }
}
