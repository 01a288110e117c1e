import ArgumentParser
import VarveFormat
import VarveOperations
import VarveRepository

struct SnapshotsCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshots",
        abstract: "List the snapshots, oldest first, and the moment that each restores to.")

    @Option(
        help: ArgumentHelp("List only the snapshots of this source ('varve source list').", valueName: "name")
    )
    var source: String?

    @OptionGroup var options: RepositoryOptions

    /// What `--json` prints.
    private struct Output: Encodable {
        var snapshots: [Row]
        /// Snapshots whose manifests can't be read.
        var unreadable: [Unreadable]
    }

    private struct Unreadable: Encodable { var snapshot: String }

    /// One line of the list.
    fileprivate struct Row: Encodable {
        var snapshot: String
        var sequence: UInt64
        var finished: Timestamp
        var restoresTo: Timestamp?
        /// Its present name.
        var source: String
        var host: String
        var home: String?
        var mode: String?
        var files: Int
        var bytes: UInt64
        var storedBytes: UInt64
        var tainted: Bool
        /// Only some of the environment's databases are in it.
        var partial: Bool
    }

    func run() throws {
        let repository = try options.open()
        let list = try repository.sources()
        for snapshot in list.unknown {
            Terminal.warn("warning: the manifest of snapshot \(snapshot) can't be read: run 'varve verify'")
        }
        let wanted = source.map(list.catalog.current)
        if let wanted, !list.groups.contains(where: { $0.name == wanted }) {
            throw VarveError(
                .missing, "there is no source '\(wanted)'", location: repository.path,
                hint: "'varve source list' lists them")
        }
        let ledger = try repository.ledger()
        let rows = list.summaries.filter { wanted == nil || list.name(of: $0) == wanted }.map { summary in
            var row = Row(summary, list.name(of: summary))
            row.tainted = row.tainted && !ledger.isProven(summary.reference)
            return row
        }
        try Terminal.document(
            Output(
                snapshots: rows, unreadable: list.unknown.map { Unreadable(snapshot: $0.description) }))
        guard !Terminal.isJSON else { return }
        let header = ["SNAPSHOT", "RESTORES TO", "FILES", "SIZE", "ADDED", "SOURCE"]
        let lines = rows.map { row in
            [
                row.snapshot, (row.restoresTo ?? row.finished).toSeconds, String(row.files),
                "\(ByteCount(row.bytes))", "\(ByteCount(row.storedBytes))",
                row.source + (row.partial ? " PARTIAL" : "") + (row.tainted ? " TAINTED" : ""),
            ]
        }
        try Terminal.output(table([header] + lines, rightAligned: [2, 3, 4]))
    }
}

extension SnapshotsCommand.Row {
    fileprivate init(_ summary: SnapshotSummary, _ source: String) {
        self.init(
            snapshot: summary.reference.description, sequence: summary.sequence, finished: summary.finished,
            restoresTo: summary.recoverableTo, source: source, host: summary.host, home: summary.home,
            mode: summary.mode?.rawValue, files: Int(clamping: summary.files), bytes: summary.bytes,
            storedBytes: summary.storedBytes, tainted: summary.isTainted,
            partial: summary.isPartial)
    }
}
