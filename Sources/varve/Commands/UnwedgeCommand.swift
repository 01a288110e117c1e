import ArgumentParser
import VarveCapture
import VarveFormat
import VarveOperations

struct UnwedgeCommand: ReportingCommand {
    static let configuration = CommandConfiguration(
        commandName: "unwedge",
        abstract:
            "Undo what a killed backup left in a live environment, before the next checkpoint hangs on it.",
        discussion: """
            A backup undoes its own changes, and the next backup undoes those of a killed one. This command does it without a \
            backup, and prints what it found. A healthy environment is not changed.
            """)

    @OptionGroup var environment: EnvironmentArguments
    @OptionGroup var lock: WaitOption
    @OptionGroup var reporting: ReportingOptions

    /// What `--json` prints.
    private struct Output: Encodable {
        /// The process that left something behind.
        var helper: Int32?
        var done: [String]
    }

    func run() throws {
        let options = try environment.options()
        let password = try environment.password.read()
        let report = try lock.patience().retry { _ in try unwedge(options, password: password) }
        try Terminal.document(Output(helper: report.helper, done: report.lines))
        Terminal.result(report.lines.joined(separator: "; "))
    }
}
