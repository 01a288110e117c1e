import ArgumentParser
import Varve
import VarveFormat
import VarveRepository

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
            let mended = try all.mendIdentities()
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
        for finding in plan.damaged {
            try Terminal.output("damaged: \(plan.path)/\(finding.object): \(finding.problem)")
        }
        for object in plan.missing { try Terminal.output("missing: \(plan.path)/\(object)") }
        if plan.isEmpty { try Terminal.output("\(plan.label): all good") }
    }

    private func say(_ plan: HealPlan, _ report: HealReport) {
        for finding in plan.damaged {
            Terminal.say("damaged: \(plan.path)/\(finding.object): \(finding.problem)")
        }
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
        for finding in report.lost { Terminal.say("lost: \(finding.object): \(finding.problem)") }
        for loss in report.losses { Terminal.say(loss.words) }
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
    /// One line for people.
    var words: String {
        let place = range.map { ", bytes \($0.lowerBound) to \($0.upperBound)" } ?? ""
        return "lost: snapshot \(snapshot), \(path)\(place)"
    }
}
