import ArgumentParser
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveUpkeep

struct HealCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heal", abstract: "Replace what is bad or missing in a copy by what another copy has.",
        discussion: """
            Reads every stored byte of the copy first. What is replaced is checked as it is copied; what was bad goes to \
            the copy's quarantine/, and nothing is deleted. A pack that is whole in no copy is put together from the good \
            parts of several, or else its readable blobs are saved; what is lost all the same is named. A healthy copy is \
            not touched.
            """)

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var copies: CopyOptions

    @Option(help: "Only this copy (label, id or path); else all that are there.")
    var copy: String?

    @Flag(help: "Print what is wrong, and do nothing.")
    var dryRun = false

    func run() throws {
        Interruption.install()
        let lead = try options.open()
        var all = try copies.open(lead)
        if !dryRun {
            let mended = try all.healIdentities()
            for label in mended {
                Terminal.say("healed: varve.json of '\(label)', from '\(all.copies[0].record.label)'")
            }
            if !mended.isEmpty { all = try copies.open(lead) }
        }
        let targets = try copy.map { [try all.find($0)] } ?? all.online
        var plans: [HealPlan] = []
        var reports: [HealReport] = []
        for target in targets {
            let line = ProgressLine()
            let healer = Healer(
                all, isCancelled: { Interruption.cancellation.isRequested },
                progress: { line.show(Progress(item: $0, bytesDone: $1, bytesTotal: $2)) })
            let plan = try healer.plan(target)
            line.finish()
            if dryRun {
                plans.append(plan)
                if !options.json { try printPlan(plan) }
            } else {
                let report = try healer.run(plan)
                reports.append(report)
                say(plan, report)
            }
        }
        if options.json { try dryRun ? printJSON(plans) : printJSON(reports) }
        if let sick = reports.first(where: { !$0.isHealthy }), sick.lost.isEmpty, sick.losses.isEmpty {
            throw VarveError(
                .unreadable, "the copy '\(sick.label)' could not be read as a whole", location: sick.path,
                hint:
                    "what is named above was left as it is: see why it can't be read (rights, limits, memory), then heal "
                    + "again")
        }
        if let sick = reports.first(where: { !$0.isHealthy }) {
            throw VarveError(
                .corrupt, "the copy '\(sick.label)' is damaged, and no copy that is there has what it lacks",
                location: sick.path,
                hint:
                    "mount the other copies and heal again; what is named above is lost otherwise, the rest restores"
            )
        }
        if dryRun, let sick = plans.first(where: { !$0.isEmpty }) {
            throw VarveError(
                .corrupt, "the copy '\(sick.label)' is damaged", location: sick.path,
                hint: "'varve heal' without --dry-run mends what can be mended")
        }
    }

    private func printPlan(_ plan: HealPlan) throws {
        for line in lines(plan) { try Terminal.output(line) }
        for line in Loss.lines(plan.losses) { try Terminal.output(line) }
        if !plan.uncovered.isEmpty {
            try Terminal.output("under no parity: \(objects(plan.uncovered.count))")
        }
        if plan.isEmpty { try Terminal.output("\(plan.label): all good") }
    }

    private func lines(_ plan: HealPlan) -> [String] {
        (plan.missing + plan.directories).map { "missing: \(plan.path)/\($0)" }
            + (plan.damaged + plan.unreadable).map { $0.words(in: plan.path) }
    }

    private func say(_ plan: HealPlan, _ report: HealReport) {
        for line in lines(plan) { Terminal.say(line) }
        for finding in report.findings { Terminal.say("damaged: \(finding.object): \(finding.problem)") }
        for healed in report.healed { Terminal.say("healed: \(healed.object), \(healed.source.words)") }
        if report.salvagedBlobs > 0 {
            Terminal.say("saved: \(report.salvagedBlobs) blobs of packs that are lost")
        }
        for outcome in report.beyondParity {
            let stripes = outcome.shortfall?.stripes.count ?? 0
            Terminal.say(
                "beyond parity: \(outcome.object): \(stripes) stripes have more than "
                    + "\(outcome.shortfall?.budget ?? 0) bad blocks")
        }
        if report.covered > 0 { Terminal.say("brought under parity: \(objects(report.covered))") }
        for object in report.unneeded { Terminal.say("no snapshot needs what is missing: \(object)") }
        for finding in report.lost { Terminal.say("lost: \(finding.object): \(finding.problem)") }
        for finding in report.unreadable { Terminal.say("left alone: \(finding.object): \(finding.problem)") }
        for line in Loss.lines(report.losses) { Terminal.say(line) }
        Terminal.say(
            "\(report.label): "
                + (plan.isEmpty
                    ? "all good"
                    : "\(objects(report.healed.count)) healed, \(report.lost.count) lost"))
    }
}

extension HealReport.Source {
    fileprivate var words: String {
        switch self {
        case .copy(let label): "from the copy '\(label)'"
        case .parts: "from the good parts of several copies"
        case .parity: "from parity"
        case .rebuilt: "made anew"
        }
    }
}

extension Loss {
    /// More than this are told by snapshot; `--json` has each.
    private static let limit = 40

    static func lines(_ losses: [Loss]) -> [String] {
        guard losses.count > limit else { return losses.map(\.words) }
        let bySnapshot = Dictionary(grouping: losses, by: \.snapshot)
        return bySnapshot.sorted { $0.value[0] < $1.value[0] }.map { snapshot, losses in
            let files = Set(losses.map(\.path)).sorted()
            let names = files.prefix(3).joined(separator: ", ") + (files.count > 3 ? ", …" : "")
            return "lost: snapshot \(snapshot), parts of \(files.count) files: \(names)"
        }
    }

    /// One line for people.
    var words: String {
        let place = range.map { ", bytes \($0.lowerBound) to \($0.upperBound)" } ?? ""
        return "lost: snapshot \(snapshot), \(path)\(place)"
    }
}
