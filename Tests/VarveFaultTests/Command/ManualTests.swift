import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension FaultTests {
    /// Completions and manual pages are made from the command itself.
    @Suite struct ManualTests {
        private static let commands = [
            "init", "backup", "snapshots", "ls", "show", "stats", "restore", "verify", "copy", "heal",
            "parity",
            "status", "source", "unwedge", "completions",
        ]

        @Test(arguments: ["bash", "zsh", "fish"]) func completions(_ shell: String) throws {
            let directory = try TemporaryDirectory()
            let script = try run(Executable.varve, ["completions", shell]).require(0).output
            for command in Self.commands + ["--repository-id", "--max-duration"] {
                let word = shell == "fish" ? command.replacing("--", with: "") : command
                #expect(script.contains(word), "\(command)")
            }
            #expect(!script.contains("manual"), "it is hidden")
            guard Executable.inPath(shell) != nil else { return print("\(shell) is not installed") }
            func parse(_ text: String) throws -> Int32 {
                try write(text, to: directory["script"])
                return try run(shell, ["-n", directory["script"]]).code
            }
            #expect(try parse(script) == 0)
            #expect(try parse(script + "\nfunction {{{ (\n") != 0, "the control: it would tell")
        }

        /// What is offered is what the command has.
        @Test func bashOffersSubcommands() throws {
            guard Executable.inPath("bash") != nil else { return }
            let directory = try TemporaryDirectory()
            try write(
                try run(Executable.varve, ["completions", "bash"]).require(0).output, to: directory["script"])
            func offered(_ words: String) throws -> [String] {
                let line = """
                    . '\(directory["script"])'; COMP_WORDS=(\(words) ''); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
                    COMP_LINE="\(words) "; COMP_POINT=${#COMP_LINE}; \
                    $(complete -p varve | sed 's/.*-F \\([^ ]*\\).*/\\1/') varve '' x; printf '%s\\n' "${COMPREPLY[@]}"
                    """
                return try run("bash", ["-c", line]).output.split(separator: "\n").map(String.init)
            }
            #expect(try Set(Self.commands).isSubset(of: offered("varve")))
            #expect(try Set(["add", "list", "sync"]).isSubset(of: offered("varve copy")))
            #expect(try !offered("varve copy").contains("backup"))
        }

        @Test func pages() throws {
            let directory = try TemporaryDirectory()
            try Directory.create(directory["man"])
            try run(Executable.varve, ["manual", "--output", directory["man"], "--date", "2026-11-27"])
                .require(0)
            let names = try Directory.list(directory["man"]).sorted()
            #expect(Set(Self.commands.map { "varve-\($0).1" } + ["varve.1"]).isSubset(of: names))
            #expect(names.contains("varve-copy-sync.1") && !names.contains("varve-manual.1"))
            for name in names {
                let path = Path.join(directory["man"], name)
                let text = try Text.read(path)
                let words = name.dropLast(2).split(separator: "-").dropFirst().map(String.init)
                let help = try run(Executable.varve, words + ["--help"]).require(0).output
                let options = help.matches(of: /^ +(?:-[a-z], )?--([a-z-]+)/.anchorsMatchLineEndings()).map {
                    "\\-\\-" + $0.output.1.replacing("-", with: "\\-")
                }
                #expect(options.count >= 2)
                for option in options { #expect(text.contains(option), "\(name): \(option)") }
                #expect(
                    text.contains("2026") && text.contains(".SH \"EXIT STATUS\"")
                        && text.contains("interrupted"))
                guard Executable.inPath("groff") != nil else { continue }
                let checked = try run("groff", ["-man", "-ww", "-z", "-Tutf8", path])
                #expect(checked.code == 0 && checked.errors.isEmpty, "\(name): \(checked)")
            }
            if Executable.inPath("groff") != nil {
                try write(".TH X 1\n.NOSUCH macro\n", to: directory["wrong"])
                #expect(
                    try !run("groff", ["-man", "-ww", "-z", "-Tutf8", directory["wrong"]]).errors.isEmpty)
            }
            // Made twice they are the same.
            try Directory.create(directory["again"])
            try run(Executable.varve, ["manual", "--output", directory["again"], "--date", "2026-11-27"])
                .require(0)
            try run("diff", ["-r", directory["man"], directory["again"]]).require(0)
        }

        private func write(_ text: String, to path: String) throws {
            let file = try File.open(updating: path)
            try file.truncate(to: 0)
            try Array(text.utf8).withUnsafeBytes { try file.write($0, at: 0) }
        }
    }
}
