import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// A Subversion repository that a group shares: its files are writable for the group, and its directories hand the
    /// group on (set-group-ID), so that whoever commits leaves files that the others can write.
    @Suite struct SharedSubversionTests {
        private static let group: UInt32 = 61_100
        private static let (owner, member): (UInt32, UInt32) = (61_001, 61_002)

        private let directory: TemporaryDirectory
        private let repository: String

        init() throws {
            directory = try TemporaryDirectory()
            repository = directory["shared/subversion"]
        }

        private var database: String { Path.join(repository, "db") }

        @Test(.needs("svnadmin"), .needsNobody()) func everybodyCommitsBeforeAndAfter() throws {
            try prepare()
            let varve = try VarveCommand.initialized(directory["repository"])
            try commit("first", as: Self.owner)
            try commit("second", as: Self.member)
            let byRoot = try varve.run(["backup", "--json", "--bdb", database]).require(0).decode(
                BackupOutput.self)
            #expect(!byRoot.tainted)
            try requireShared(repository)
            try commit("third", as: Self.owner)
            try commit("fourth", as: Self.member)
            let byMember = try backupAsMember()
            try requireShared(repository)
            // And the other way round: what the member's backup left hinders nobody.
            try varve.run(["backup", "--bdb", database]).require(0)
            try commit("fifth", as: Self.owner)
            try commit("sixth", as: Self.member)
            try run("svnadmin", ["verify", "-q", repository], seconds: 120).require(0)

            try requireSharedCopy(varve, byRoot.snapshot, holds: ["first", "second"], not: "third")
            try requireSharedCopy(
                byMember.varve, byMember.snapshot, holds: ["first", "second", "third", "fourth"], not: "fifth"
            )
        }

        /// Root restores: the copy has what was committed before the backup, is the group's, and both commit to it.
        private func requireSharedCopy(
            _ varve: VarveCommand, _ snapshot: String, holds names: [String], not missing: String
        ) throws {
            let copy = directory["shared/copy-\(missing)"]
            try run("cp", ["-a", repository, copy]).require(0)
            try Directory.removeTree(Path.join(copy, "db"))
            try varve.run(["restore", snapshot, "--target", Path.join(copy, "db"), "--recover"]).require(0)
            for name in ["format", "fs-type"] {
                try run("cp", ["-a", Path.join(database, name), Path.join(copy, "db")]).require(0)
            }
            try requireShared(copy)
            let tree = try command(Self.owner, "svnlook", ["tree", "--full-paths", copy]).require(0).output
                .split(separator: "\n")
            #expect(names.allSatisfy { tree.contains("\($0)/") } && !tree.contains("\(missing)/"), "\(tree)")
            try commit("after-\(Self.owner)", as: Self.owner, to: copy)
            try commit("after-\(Self.member)", as: Self.member, to: copy)
            try requireShared(copy)

            // The control: a directory that does not hand the group on is noticed.
            chmod(Path.join(copy, "db"), 0o775)
            #expect(try !unshared(copy).isEmpty)
        }

        /// Two users, each with a home and a group of its own, and one that they share.
        private func prepare() throws {
            chmod(directory.path, 0o711)
            for user in [Self.owner, Self.member] {
                try Directory.create(home(user))
                try run("chown", ["\(user):\(user)", home(user)]).require(0)
            }
            let shared = Path.parent(repository)
            try Directory.create(shared)
            try run("chown", ["\(Self.owner):\(Self.group)", shared]).require(0)
            chmod(shared, 0o2775)
            try command(Self.owner, "svnadmin", ["create", "--fs-type", "bdb", repository]).require(0)
            // As Subversion's book says it.
            try run("chgrp", ["-R", String(Self.group), repository]).require(0)
            try run("chmod", ["-R", "g+w", repository]).require(0)
            try run("find", [repository, "-type", "d", "-exec", "chmod", "g+s", "{}", "+"]).require(0)
            // Others' programs are not always where everybody may go.
            try Directory.create(directory["bin"], mode: 0o755)
            try run("cp", [Executable.varve, Executable.helper, directory["bin"]]).require(0)
        }

        private func home(_ user: UInt32) -> String { directory["home-\(user)"] }

        /// Runs a program as one of the two, with the umask that a shared repository asks for.
        @discardableResult
        private func command(_ user: UInt32, _ program: String, _ arguments: [String]) throws -> Finished {
            let identity = [
                "--reuid", "\(user)", "--regid", "\(user)", "--groups", "\(user),\(Self.group)",
                "--inh-caps=-all",
            ]
            return try run(
                "setpriv", identity + ["sh", "-c", "umask 002; exec \"$@\"", "sh", program] + arguments,
                environment: ["HOME": home(user)], seconds: 120)
        }

        /// Commits a new directory.
        private func commit(_ name: String, as user: UInt32, to repository: String? = nil) throws {
            let url = "file://" + (repository ?? self.repository)
            try command(
                user, "svnmucc",
                ["--non-interactive", "--username", "u\(user)", "-m", name, "-U", url, "mkdir", name]
            ).require(0)
        }

        /// A backup as a member of the group, who owns nothing there, into a repository of its own.
        private func backupAsMember() throws -> (varve: VarveCommand, snapshot: String) {
            let varve = VarveCommand(repository: Path.join(home(Self.member), "repository"))
            let program = directory["bin/varve"]
            try command(Self.member, program, ["init", "-r", varve.repository]).require(0)
            let backup = try command(
                Self.member, program, ["backup", "--json", "--bdb", database, "-r", varve.repository]
            ).require(0).decode(BackupOutput.self)
            #expect(!backup.tainted)
            return (varve, backup.snapshot)
        }

        /// Every file is the group's, and the group may write it; every directory hands the group on.
        private func requireShared(_ repository: String) throws {
            let wrong = try unshared(repository)
            #expect(wrong.isEmpty, "not for the group any more: \(wrong)")
        }

        private func unshared(_ repository: String) throws -> String {
            // Varve's own directory is for its next runs alone.
            try run(
                "find",
                [
                    Path.join(repository, "db"), "-name", ".varve*", "-prune", "-o", "(", "!", "-group",
                    String(Self.group), "-o", "!", "-perm", "-g=w", "-o", "-type", "d", "!", "-perm", "-g=s",
                    ")",
                    "-ls",
                ]
            ).require(0).output
        }
    }
}
