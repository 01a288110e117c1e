import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// Somebody else's application: an environment with transactions and without locking, of short processes that see
    /// to it among themselves that one of them writes at a time.
    @Suite struct BogofilterTests {
        static let backups = Executable.isSoak ? 20 : 4

        @Test(.needs("bogofilter", "bogoutil")) func backupsWhileItLearns() throws {
            let directory = try TemporaryDirectory()
            let home = directory["wordlist"]
            try Directory.create(home)
            let varve = try VarveCommand.initialized(directory["repository"])
            let learning = try Self.startLearning(home, notes: directory["learned"])
            var taken: [(snapshot: String, learned: Int)] = []
            for number in 1...Self.backups {
                try waitUntil("further messages", every: 20_000) {
                    guard learning.isRunning else {
                        throw ProcessFailure("learning ended: \(try learning.wait(seconds: 1))")
                    }
                    return try Self.learned(directory["learned"]) >= number * 5
                }
                let before = try Self.learned(directory["learned"])
                let backup = try varve.run(["backup", "--json", "--bdb", home]).require(0)
                    .decode(BackupOutput.self)
                #expect(!backup.tainted)
                taken.append((backup.snapshot, before))
            }
            try Text.write("", to: directory["learned"] + ".stop")
            try learning.wait(seconds: 60).require(0)
            try run("bogoutil", ["--db-verify", Path.join(home, "wordlist.db")]).require(0)
            let all = try Self.learned(directory["learned"])

            for (snapshot, learned) in taken {
                let copy = directory["copy-\(snapshot)"]
                try varve.run(["restore", snapshot, "--target", copy, "--recover"]).require(0)
                let list = Path.join(copy, "wordlist.db")
                try run("bogoutil", ["--db-verify", list]).require(0)
                // The number of messages is a record of its own, in the transaction of the words.
                let counted = try run("bogoutil", ["-w", list, ".MSG_COUNT"]).require(0).output
                let messages = counted.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
                #expect(messages.count == 2 && messages[0] + messages[1] >= learned, "\(counted)")
                // Each message has a word of its own: those of what was counted are there, and no others.
                let words = try run("bogoutil", ["-d", list]).require(0).output.split(separator: "\n")
                    .count { $0.hasPrefix("unique") }
                #expect(messages.reduce(0, +) == words && words <= all, "\(counted), \(words) words")
            }
        }

        private static func startLearning(_ home: String, notes: String) throws -> RunningProcess {
            try Text.write("", to: notes)
            let script = """
                n=0
                while [ ! -e "$2.stop" ]; do
                  n=$((n + 1))
                  kind=-s; [ $((n % 2)) = 0 ] && kind=-n
                  { printf 'From: a@example.org\\nSubject: message\\n\\nunique%06d' $n
                    awk -v n=$n 'BEGIN { srand(n); for (i = 0; i < 300; i++) printf " word%05d", int(rand() * 20000); print "" }'
                  } | bogofilter -C --db-transaction=yes -d "$1" $kind || exit 1
                  echo $n >> "$2"
                done
                """
            return try RunningProcess("/bin/sh", ["-c", script, "sh", home, notes])
        }

        private static func learned(_ notes: String) throws -> Int {
            try Text.read(notes).split(separator: "\n").last.flatMap { Int($0) } ?? 0
        }
    }
}
