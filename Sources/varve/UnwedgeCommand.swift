import ArgumentParser
import VarveCapture
import VarveFormat
import VarveOperations

struct UnwedgeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unwedge",
        abstract:
            "Undo what a killed backup left in a live environment, before its next checkpoint hangs on it.",
        discussion: """
            A backup cleans up behind itself, and the next backup behind a killed one. This does the same without a \
            backup. It says what it found; on a healthy environment it changes nothing.
            """)

    @OptionGroup var environment: EnvironmentArguments

    @Flag(help: "Print the result as JSON on standard output.")
    var json = false

    /// What `--json` prints.
    private struct Output: Codable {
        /// The process that left something behind.
        var helper: Int32?
        var done: [String]
    }

    func run() throws {
        let options = try environment.options()
        let report = try unwedge(options, password: try environment.password.read())
        if json { return try printJSON(Output(helper: report.helper, done: report.lines)) }
        for line in report.lines { try Terminal.output(line) }
    }
}
