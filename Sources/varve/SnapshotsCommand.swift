import ArgumentParser
import Varve
import VarveFormat
import VarveRepository

struct SnapshotsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshots",
        abstract: "List the snapshots, oldest first, and to which moment each restores.")

    @OptionGroup var options: RepositoryOptions

    /// One line of the list.
    fileprivate struct Row: Codable {
        var snapshot: String
        var sequence: UInt64
        var finished: Timestamp
        var recoverableTo: Timestamp?
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
        let ledger = try repository.ledger()
        let rows = try repository.manifests.summaries().map { summary in
            var row = Row(summary)
            row.tainted = row.tainted && !ledger.isProven(summary.reference)
            return row
        }
        if options.json { return try printJSON(rows) }
        let header = ["SNAPSHOT", "RESTORES TO", "FILES", "SIZE", "ADDED", "SOURCE"]
        let lines = rows.map { row in
            [
                row.snapshot, (row.recoverableTo ?? row.finished).toSeconds, String(row.files),
                "\(ByteCount(row.bytes))", "\(ByteCount(row.storedBytes))",
                "\(row.host):\(row.home ?? "-")\(row.partial ? " PARTIAL" : "")\(row.tainted ? " TAINTED" : "")",
            ]
        }
        try Terminal.output(table([header] + lines, rightAligned: [2, 3, 4]))
    }
}

extension SnapshotsCommand.Row {
    fileprivate init(_ summary: SnapshotSummary) {
        self.init(
            snapshot: summary.reference.description, sequence: summary.sequence, finished: summary.finished,
            recoverableTo: summary.recoverableTo, host: summary.host, home: summary.home,
            mode: summary.mode?.rawValue, files: Int(clamping: summary.files), bytes: summary.bytes,
            storedBytes: summary.storedBytes, tainted: summary.isTainted,
            partial: summary.isPartial)
    }
}

extension Timestamp {
    /// Without the fraction: enough for a list.
    var toSeconds: String { Timestamp(seconds: seconds).description }
}
