import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// Somebody else's application: 389 Directory Server, which registers its databases by absolute names and sets the
    /// directory of its logs in code.
    @Suite struct DirectoryServerTests {
        /// That are added at least, while the backups are made.
        static let entries = Executable.isSoak ? 8000 : 800
        static let backups = Executable.isSoak ? 8 : 2

        @Test(.needs("ns-slapd", "ldapadd", "ldapsearch", "stdbuf"))
        func backupsWhileEntriesAreAdded() throws {
            let directory = try TemporaryDirectory()
            // The server and the environment's owner are somebody else.
            chmod(directory.path, 0o711)
            let server = try DirectoryServer(directory["server"])
            let varve = try VarveCommand.initialized(directory["repository"])
            try server.makeEnvironment()
            try server.start()
            try server.addSuffix(notes: directory.path)
            let (taken, added) = try Self.backUp(server, varve, stop: directory["stop"])
            #expect(added >= Self.entries)
            #expect(try server.entries("(uid=*)") == Array(1...max(1, added)))
            try server.stop()

            for (number, backup) in taken.enumerated() {
                try varve.run(["verify", "--drill", backup.snapshot]).require(0)
                try requireElsewhere(varve, backup, directory["server-\(number)"])
            }
            try requireInPlace(varve, try #require(taken.last), server)
            try requireRecoveryMatters(varve, try #require(taken.last), directory["unrecovered"])
        }

        /// As `dscreate` makes an instance: the regions are in memory, and databases and logs in one directory.
        @Test(.needs("ns-slapd", "ldapadd", "ldapsearch", "stdbuf"))
        func theDefaultLayout() throws {
            let directory = try TemporaryDirectory()
            let regions = try TemporaryDirectory(in: "/dev/shm")
            for path in [directory.path, regions.path] { chmod(path, 0o711) }
            let server = try DirectoryServer(directory["server"], logs: "db", home: regions["slapd-test"])
            let varve = try VarveCommand.initialized(directory["repository"])
            try server.makeEnvironment()
            try server.start()
            try server.addSuffix(notes: directory.path)
            let taken = try Self.backUp(server, varve, stop: directory["stop"]).taken
            let backup = try #require(taken.last)
            #expect(try !Directory.list(server.home).filter { $0.hasPrefix("__db.") }.isEmpty)
            try server.stop()
            try varve.run(["verify", "--drill", backup.snapshot]).require(0)
            let lost = try Directory.list(Path.join(server.data, "userRoot"))
            #expect(lost.contains("DBVERSION"))

            // The control: what is there is not overwritten, of whatever kind.
            try run("find", [server.data, "-type", "f", "!", "-name", "DBVERSION", "-delete"]).require(0)
            try Directory.removeTree(server.home)
            let inPlace = [
                "restore", backup.snapshot, "--target", server.home, "--recover", "--in-place",
            ]
            let clash = try varve.run(inPlace).require(1)
            #expect(clash.errors.contains("DBVERSION exists already"), "\(clash)")

            try Directory.removeTree(server.data)
            try varve.run(inPlace).require(0)
            #expect(try Directory.list(Path.join(server.data, "userRoot")) == lost)
            try requireEntries(server, atLeast: backup.acknowledged)
        }

        /// Another instance starts on what was restored to another place, while the first one's files lie where they were.
        private func requireElsewhere(
            _ varve: VarveCommand, _ backup: (snapshot: String, acknowledged: Int), _ root: String
        ) throws {
            let server = try DirectoryServer(root, logs: "db/external/0-dblogs")
            try varve.run(["restore", backup.snapshot, "--target", server.home, "--recover"]).require(0)
            try requireEntries(server, atLeast: backup.acknowledged)
        }

        /// Everything is lost; it comes back to where it was.
        private func requireInPlace(
            _ varve: VarveCommand, _ backup: (snapshot: String, acknowledged: Int), _ server: DirectoryServer
        ) throws {
            for path in [server.home, server.logs] { try Directory.removeTree(path) }
            try varve.run(["restore", backup.snapshot, "--target", server.home, "--recover", "--in-place"])
                .require(0)
            #expect(try !FileTree.logs(in: server.logs).isEmpty)
            try requireEntries(server, atLeast: backup.acknowledged)
        }

        /// The server starts, has the first so many entries by its index and by looking at each, and takes another one.
        private func requireEntries(_ server: DirectoryServer, atLeast acknowledged: Int) throws {
            try server.start()
            let found = try server.entries("(uid=*)")
            #expect(found.count >= acknowledged && found == Array(1...max(1, found.count)), "\(found)")
            #expect(try server.entries("(description=entry *)") == found)
            let next = found.count + 1
            try server.add(next)
            #expect(try server.entries("(uid=*)") == found + [next])
            try server.stop()
        }

        private static func backUp(_ server: DirectoryServer, _ varve: VarveCommand, stop: String) throws
            -> (taken: [(snapshot: String, acknowledged: Int)], added: Int)
        {
            // Where its logs are is nowhere but in its code.
            let refused = try varve.run(["backup", "--bdb", server.home]).require(1)
            #expect(refused.errors.contains("--log-dir"), "\(refused)")
            let data = server.data == server.home ? [] : ["--data-dir", server.data]
            let adding = try server.startAdding(Self.entries, until: stop)
            var taken: [(snapshot: String, acknowledged: Int)] = []
            for number in 1...Self.backups {
                try waitUntil("further entries", seconds: 120, every: 10_000) {
                    guard adding.isRunning else { throw ProcessFailure("\(try adding.wait(seconds: 1))") }
                    return DirectoryServer.named(adding) > number * Self.entries / (Self.backups + 1)
                }
                let acknowledged = DirectoryServer.named(adding) - 1
                let backup = try varve.run(
                    ["backup", "--json", "--bdb", server.home, "--log-dir", server.logs] + data
                ).require(0).decode(BackupOutput.self)
                #expect(!backup.tainted)
                taken.append((backup.snapshot, acknowledged))
            }
            try Text.write("", to: stop)
            try adding.wait(seconds: 300).require(0)
            return (taken, DirectoryServer.named(adding))
        }

        /// The control: without recovery entries are missing, if it can be read at all.
        private func requireRecoveryMatters(
            _ varve: VarveCommand, _ backup: (snapshot: String, acknowledged: Int), _ target: String
        ) throws {
            try varve.run(["restore", backup.snapshot, "--target", target]).require(0)
            let entries = Path.join(target, "userRoot/id2entry.db")
            let dump = try run("db5.3_dump", ["-p", entries]).output
            #expect(dump.ranges(of: "description: entry ").count < backup.acknowledged)
        }
    }
}
