import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// Somebody else's application: Berkeley DB's SQL interface. The environment of `rows.db` is `rows.db-journal/`, and
    /// the database itself lies beside it.
    @Suite struct StructuredQueryTests {
        private let directory: TemporaryDirectory
        private let varve: VarveCommand
        private let place: String
        private let notes: String

        init() throws {
            directory = try TemporaryDirectory()
            varve = try .initialized(directory["repository"])
            place = directory["sql"]
            notes = directory["rows"]
            try Directory.create(place)
        }

        /// Files of root's are written outside of a target only where that is said.
        private var owner: [String] { Host.isRoot ? ["--owner", "root"] : [] }

        private var journal: String { Path.join(place, "rows.db-journal") }

        /// Inserts a row after the other, and says which are in, until there is a file NOTES.stop.
        private func startInserting() throws -> RunningProcess {
            let script = """
                {
                    echo 'create table rows(number integer primary key, text text);'
                    i=0
                    while [ ! -e "$2.stop" ]; do
                        i=$((i + 1))
                        echo "insert into rows values($i, 'row $i'); select $i;"
                    done
                } | stdbuf -oL db5.3_sql -bail "$1" >"$2"
                """
            return try RunningProcess("sh", ["-c", script, "inserter", Path.join(place, "rows.db"), notes])
        }

        private func inserted() throws -> Int {
            guard access(notes, F_OK) == 0 else { return 0 }
            var lines = try Text.read(notes).split(separator: "\n", omittingEmptySubsequences: false)
            // The last one may still be being written.
            lines.removeLast()
            return lines.last.flatMap { Int($0) } ?? 0
        }

        private func rows(_ database: String) throws -> (count: Int, last: Int) {
            let found = try run("db5.3_sql", [database, "select count(*), max(number) from rows;"]).require(0)
            let words = found.output.dropLast().split(separator: "|").compactMap { Int($0) }
            guard words.count == 2 else { throw ProcessFailure("\(found)") }
            return (words[0], words[1])
        }

        @Test(.needs("db5.3_sql", "stdbuf")) func backupsWhileRowsAreInserted() throws {
            let inserter = try startInserting()
            var taken: [(snapshot: String, inserted: Int)] = []
            for number in 1...Self.backups {
                try waitUntil("further rows", seconds: 60, every: 10_000) {
                    guard inserter.isRunning else { throw ProcessFailure("\(try inserter.wait(seconds: 1))") }
                    return try self.inserted() >= number * 200
                }
                let inserted = try self.inserted()
                let backup = try varve.run(["backup", "--json", "--bdb", journal, "--data-dir", place])
                    .require(0).decode(BackupOutput.self)
                #expect(!backup.tainted)
                taken.append((backup.snapshot, inserted))
            }
            // Without the directory, the database would be in no backup: that is no success.
            let incomplete = try varve.run(["backup", "--bdb", journal]).require(1, 3)
            #expect(incomplete.errors.contains("rows.db"), "\(incomplete)")
            #expect(incomplete.errors.contains("--data-dir"), "\(incomplete)")
            try Text.write("", to: notes + ".stop")
            try inserter.wait(seconds: 60).require(0)

            for (snapshot, inserted) in taken {
                try varve.run(["verify", "--drill", snapshot]).require(0)
                let copy = directory["copy-\(snapshot)"]
                try Directory.create(copy)
                try varve.run(
                    [
                        "restore", snapshot, "--target", Path.join(copy, "rows.db-journal"), "--recover",
                        "--map",
                        "\(place)=\(copy)",
                    ] + owner
                ).require(0)
                try requireRows(Path.join(copy, "rows.db"), atLeast: inserted)
            }
            try requireDisasterEndsWell(try #require(taken.last))
            try requireLogsMatter(try #require(taken.last))
        }

        /// Everything is lost; it comes back to where it was.
        private func requireDisasterEndsWell(_ last: (snapshot: String, inserted: Int)) throws {
            try Directory.removeTree(place)
            try Directory.create(place)
            try varve.run(["restore", last.snapshot, "--target", journal, "--recover", "--in-place"] + owner)
                .require(
                    0)
            try requireRows(Path.join(place, "rows.db"), atLeast: last.inserted)
        }

        /// The control: the database without its logs lacks rows, or is not one.
        private func requireLogsMatter(_ last: (snapshot: String, inserted: Int)) throws {
            let bare = directory["bare"]
            try varve.run(["restore", last.snapshot, "--target", bare]).require(0)
            let files = try FileTree.files(in: bare).filter { Path.name($0) == "rows.db" }
            try run("cp", [try #require(files.first), directory["alone.db"]]).require(0)
            let found = try run("db5.3_sql", [directory["alone.db"], "select count(*) from rows;"])
            #expect(found.code != 0 || Int(found.output.dropLast()) ?? 0 < last.inserted, "\(found)")
        }

        /// A prefix of what was inserted, as long as what had been acknowledged when the backup began.
        private func requireRows(_ database: String, atLeast inserted: Int) throws {
            let rows = try rows(database)
            #expect(rows.count == rows.last && rows.count >= inserted, "\(rows), \(inserted) inserted")
            // And it is a database that one can write to.
            try run("db5.3_sql", [database, "insert into rows values(\(rows.last + 1), 'after');"]).require(0)
            #expect(try self.rows(database).count == rows.count + 1)
        }

        static let backups = Executable.isSoak ? 10 : 2
    }
}
