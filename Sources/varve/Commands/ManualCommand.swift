import ArgumentParser
import VarveFiles
import VarveFormat
import VarveOperations

/// Made by `make install`; not for users.
struct ManualCommand: ReportingCommand {
    static let configuration = CommandConfiguration(
        commandName: "manual", abstract: "Write the manual pages, one for each command.", shouldDisplay: false
    )

    @Option(help: ArgumentHelp("Directory for the pages.", valueName: "dir"), completion: .directory)
    var output: String

    @Option(help: ArgumentHelp("Date of the pages, YYYY-MM-DD.", valueName: "date"))
    var date: String

    @OptionGroup var reporting: ReportingOptions

    /// What `--json` prints.
    private struct Output: Encodable { var pages: [String] }

    func run() throws {
        let pages = try ManualPage.all(date: date)
        for page in pages {
            let file = try File.create(Path.join(output, page.name))
            try Array(page.text.utf8).withUnsafeBytes { try file.write($0, at: 0) }
        }
        try Terminal.document(Output(pages: pages.map(\.name)))
        Terminal.result("\(pages.count) pages written to \(output)")
    }
}
