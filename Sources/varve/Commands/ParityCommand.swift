import ArgumentParser
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveUpkeep

struct ParityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parity",
        abstract: "Keep parity on the disk of a copy, to restore damaged and lost packs from.",
        discussion: """
            Parity belongs to one copy, and is meant for a disk that has no second one. It heals bad sectors and single \
            lost files. It does not help against the loss of the disk. Every backup brings under parity what it adds.
            """,
        subcommands: [ParityAddCommand.self, ParityStatusCommand.self])
}

struct ParityAddCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Set the amount of parity, and bring everything that is stored under it.")

    @Argument(help: "Amount of parity in percent of what is stored, 1 to 50. 10 is a good start.")
    var percent: Int

    @OptionGroup var lock: WaitOption
    @OptionGroup var options: RepositoryOptions

    func run() throws {
        Interruption.install()
        let line = ProgressLine()
        let repository = try options.open()
        let report = try lock.patience().retry { isAgain in
            let repository = isAgain ? try options.open() : repository
            return try repository.addParity(
                percent: percent, cancellation: Interruption.cancellation,
                progress: { line.show($0) })
        }
        line.finish()
        for finding in report.skipped {
            Terminal.warn("damaged: \(repository.path)/\(finding.text): \(finding.problem)")
        }
        try Terminal.document(report)
        let words =
            report.groupsWritten > 0
            ? "\(ByteCount(report.parityBytes)) for \(objects(report.objects)) of \(ByteCount(report.bytes)) in "
                + rate(report.bytes, line.seconds) : "there was nothing to do"
        Terminal.result("parity of \(report.percent) %: \(words)")
        guard report.skipped.isEmpty else { throw ExitCode(ExitStatus.attention) }
    }
}

struct ParityStatusCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how much is under parity, and what is not.")

    @OptionGroup var options: RepositoryOptions

    func run() throws {
        let status = try ParityStatus(try options.open())
        try Terminal.document(status)
        guard !Terminal.isJSON else { return }
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
            rows.append(["missing", status.missing.map(\.description).joined(separator: " ")])
        }
        try Terminal.output(table(rows))
    }
}
