import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// Somebody else's application: Subversion on Berkeley DB, with DB_REGISTER, a DB_CONFIG that switches
    /// automatic log removal on, and processes that come and go.
    @Suite struct SubversionTests {
        static let backups = Executable.isSoak ? 20 : 4

        @Test(.needs("svnadmin")) func backupsWhileCommitsGoOn() throws {
            let directory = try TemporaryDirectory()
            let repository = directory["subversion"]
            try run("svnadmin", ["create", "--fs-type", "bdb", repository]).require(0)
            let varve = try VarveCommand.initialized(directory["repository"])
            let committer = try Self.startCommitting(to: repository, notes: directory["commits"])
            var taken: [(snapshot: String, committed: UInt64)] = []
            for number in 1...Self.backups {
                try waitUntil("further commits", every: 20_000) {
                    guard committer.isRunning else {
                        throw ProcessFailure("committing ended: \(try committer.wait(seconds: 1))")
                    }
                    return try Self.commits(directory["commits"]).count >= number * 5
                }
                let backup = try varve.run(["backup", "--json", "--bdb", Path.join(repository, "db")])
                    .require(0).decode(BackupOutput.self)
                #expect(!backup.tainted)
                let time = try #require(backup.recovery).restoresTo
                let committed = try Self.commits(directory["commits"]).last { $0.time <= time }?.revision
                taken.append((backup.snapshot, committed ?? 0))
            }
            try Text.write("", to: directory["commits"] + ".stop")
            try committer.wait(seconds: 60).require(0)
            try run("svnadmin", ["verify", "-q", repository], seconds: 120).require(0)

            for (snapshot, committed) in taken {
                let copy = directory["copy-\(snapshot)"]
                try Self.restore(snapshot, varve, of: repository, to: copy)
                try run("svnadmin", ["verify", "-q", copy], seconds: 120).require(0)
                let youngest =
                    UInt64(try run("svnlook", ["youngest", copy]).require(0).output.dropLast()) ?? 0
                #expect(youngest >= committed)
                #expect(committed > 0)
                print("backupsWhileCommitsGoOn: \(snapshot) has revision \(youngest), committed \(committed)")
            }
        }

        /// One commit after the other, each noted when it is done, until there is a file NOTES.stop.
        private static func startCommitting(to repository: String, notes: String) throws -> RunningProcess {
            let script = """
                i=0
                while [ ! -e "$2.stop" ]; do
                    i=$((i + 1))
                    head -c 20000 /dev/urandom | base64 >"$2.content" || exit 1
                    svnmucc -m "commit $i" -U "file://$1" put "$2.content" "file$((i % 10))" \
                        mkdir "directory$i" >/dev/null || exit 1
                    echo "$(date +%s.%N) $i" >>"$2"
                done
                """
            return try RunningProcess("sh", ["-c", script, "committer", repository, notes])
        }

        private static func commits(_ notes: String) throws -> [(time: Timestamp, revision: UInt64)] {
            guard access(notes, F_OK) == 0 else { return [] }
            return try Text.read(notes).split(separator: "\n").compactMap { line in
                let words = line.split { $0 == " " || $0 == "." }
                guard words.count == 3, let seconds = Int64(words[0]), let nanoseconds = UInt32(words[1]),
                    let revision = UInt64(words[2])
                else { return nil }
                return (Timestamp(seconds: seconds, nanoseconds: nanoseconds), revision)
            }
        }

        /// The environment from the snapshot, the plain files around it from the repository.
        private static func restore(
            _ snapshot: String, _ varve: VarveCommand, of repository: String, to copy: String
        ) throws {
            try run("cp", ["-a", repository, copy]).require(0)
            let database = Path.join(copy, "db")
            let plain = ["format", "fs-type"]
            for path in try FileTree.files(in: database) where !plain.contains(Path.name(path)) {
                try Directory.removeFile(path)
            }
            let restored = copy + "-environment"
            try varve.run(["restore", snapshot, "--target", restored, "--recover"]).require(0)
            try run("cp", ["-a", restored + "/.", database]).require(0)
        }
    }
}
