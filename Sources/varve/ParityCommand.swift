import ArgumentParser
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveUpkeep

struct ParityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parity",
        abstract: "Keep parity on this disk, from which damaged and lost packs come back.",
        discussion: """
            Parity is of this copy alone, and for a disk that has no second: it stands bad sectors and single lost files, \
            not the loss of the disk. Every backup brings under parity what it has added.
            """,
        subcommands: [Add.self, Status.self])

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set how much parity is kept, and bring everything that is stored under it.")

        @OptionGroup var options: RepositoryOptions

        @Argument(help: "Of what is covered, 1 to 50; 10 is a good start.")
        var percent: Int

        func run() throws {
            Interruption.install()
            let repository = try options.open()
            let line = ProgressLine()
            let report = try repository.addParity(
                percent: percent, isCancelled: { Interruption.cancellation.isRequested },
                progress: { line.show(Progress(item: $0, bytesDone: $1, bytesTotal: $2)) })
            line.finish()
            for finding in report.skipped {
                Terminal.say("damaged: \(repository.path)/\(finding.object): \(finding.problem)")
            }
            if report.groupsWritten > 0 {
                Terminal.say(
                    "parity of \(report.percent) %: \(ByteCount(report.parityBytes)) for \(objects(report.objects)) of "
                        + "\(ByteCount(report.bytes)) in \(rate(report.bytes, line.seconds))")
            } else {
                Terminal.say("parity of \(report.percent) %: there was nothing to do")
            }
            if options.json { try printJSON(report) }
            guard report.skipped.isEmpty else { throw ExitCode(ExitStatus.tainted) }
        }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show how much is under parity, and what is not.")

        @OptionGroup var options: RepositoryOptions

        func run() throws {
            let status = try ParityStatus(try options.open())
            if options.json { return try printJSON(status) }
            var rows = [
                ["parity", status.percent.map { "\($0) %" } ?? "none; 'varve parity add PERCENT' makes it"],
                ["covered", "\(objects(status.coveredObjects)) of \(ByteCount(status.coveredBytes))"],
                [
                    "not covered",
                    "\(objects(status.uncovered.count)) of \(ByteCount(status.uncoveredBytes))",
                ],
                ["stored", "\(ByteCount(status.parityBytes)) in \(objects(status.groups))"],
            ]
            if status.damagedGroups > 0 {
                rows.append(["unreadable", "\(objects(status.damagedGroups)) of parity"])
            }
            if !status.missing.isEmpty {
                rows.append(["missing", status.missing.joined(separator: " ")])
            }
            try Terminal.output(table(rows))
        }
    }
}
