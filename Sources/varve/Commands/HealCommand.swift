import ArgumentParser
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveUpkeep

struct HealCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "heal",
        abstract: "Replace damaged or missing objects of a copy, from another copy or from parity.",
        discussion: """
            Every stored byte of the copy is read first. A replacement is checked while it is copied. A damaged object is \
            moved to the copy's quarantine/, and nothing is deleted. A pack that no copy has whole is put together from \
            the good parts of several copies, or from parity; otherwise its readable blobs are saved. What stays lost is \
            named. A healthy copy is not changed.
            """)

    @Option(
        help: ArgumentHelp(
            "Heal only this copy (label, id or path; default: all that are there).", valueName: "copy"))
    var copy: String?

    @Flag(help: "Print what is wrong, and change nothing.")
    var dryRun = false

    @OptionGroup var copies: CopyOptions
    @OptionGroup var lock: WaitOption
    @OptionGroup var options: RepositoryOptions

    /// What `--json` prints.
    private struct Plans: Encodable { var copies: [HealPlan] }
    private struct Reports: Encodable {
        /// Labels of the copies whose `varve.json` was damaged.
        var healedIdentities: [String]
        var copies: [HealReport]
    }

    func run() throws {
        Interruption.install()
        let named = try options.open()
        var all = try copies.open(named)
        if dryRun { return try plan(all) }
        let identities = try all.healIdentities()
        for label in identities {
            Terminal.remark("healed: varve.json of '\(label)', from '\(all.copies[0].record.label)'")
        }
        if !identities.isEmpty { all = try copies.open(named) }
        let patience = lock.patience()
        var reports: [HealReport] = []
        var words: [String] = []
        for target in try targets(all) {
            let (plan, report) = try patience.retry { isAgain in
                // Another process may have written to them while this one waited.
                let now = isAgain ? try copies.open(named) : all
                let (healer, line) = healer(now)
                let plan = try healer.plan(try now.find(target.record.copy))
                line.finish()
                return (plan, try healer.run(plan))
            }
            tell(plan, report)
            reports.append(report)
            words.append(
                "\(report.label): "
                    + (plan.isEmpty
                        ? "all good" : "\(objects(report.healed.count)) healed, \(report.lost.count) lost"))
        }
        try Terminal.document(Reports(healedIdentities: identities, copies: reports))
        Terminal.result(words.joined(separator: "; "))
        try require(reports)
    }

    private func targets(_ all: RepositoryCopies) throws -> [RepositoryCopy] {
        try copy.map { [try all.find($0)] } ?? all.online
    }

    private func healer(_ all: RepositoryCopies) -> (Healer, ProgressLine) {
        let line = ProgressLine()
        let healer = Healer(
            all, cancellation: Interruption.cancellation,
            progress: { line.show($0) })
        return (healer, line)
    }

    /// `--dry-run`
    private func plan(_ all: RepositoryCopies) throws {
        var plans: [HealPlan] = []
        for target in try targets(all) {
            let (healer, line) = healer(all)
            let plan = try healer.plan(target)
            line.finish()
            plans.append(plan)
            if !Terminal.isJSON { try list(plan) }
        }
        try Terminal.document(Plans(copies: plans))
        if let damaged = plans.first(where: { !$0.isEmpty }) {
            throw VarveError(
                .corrupt, "the copy '\(damaged.label)' is damaged", location: damaged.path,
                hint: "run 'varve heal' without --dry-run")
        }
    }

    private func require(_ reports: [HealReport]) throws {
        guard let sick = reports.first(where: { !$0.isHealthy }) else { return }
        if sick.lost.isEmpty, sick.losses.isEmpty {
            throw VarveError(
                .unreadable, "parts of the copy '\(sick.label)' could not be read", location: sick.path,
                hint: """
                    the objects above were left as they are: find out why they can't be read (rights, limits, memory), \
                    then heal again
                    """)
        }
        throw VarveError(
            .corrupt, "the copy '\(sick.label)' is damaged, and no copy that is there has its lost objects",
            location: sick.path,
            hint: """
                mount the other copies and run 'varve heal' again; without them, what is named above is lost, and \
                the rest can be restored
                """)
    }

    private func list(_ plan: HealPlan) throws {
        for line in lines(plan) { try Terminal.output(line) }
        for line in Loss.lines(plan.losses) { try Terminal.output(line) }
        if !plan.uncovered.isEmpty {
            try Terminal.output("not under parity: \(objects(plan.uncovered.count))")
        }
        if plan.isEmpty { try Terminal.output("\(plan.label): all good") }
    }

    private func lines(_ plan: HealPlan) -> [String] {
        (plan.missing + plan.directories).map { "missing: \(plan.path)/\($0)" }
            + (plan.damaged + plan.unreadable).map { $0.words(in: plan.path) }
    }

    private func tell(_ plan: HealPlan, _ report: HealReport) {
        for line in lines(plan) { Terminal.warn(line) }
        for finding in report.findings { Terminal.warn("damaged: \(finding.text): \(finding.problem)") }
        for healed in report.healed { Terminal.remark("healed: \(healed.place), \(healed.source.words)") }
        if report.salvagedBlobs > 0 {
            Terminal.remark("saved: \(report.salvagedBlobs) blobs of lost packs")
        }
        for outcome in report.beyondParity {
            let stripes = outcome.shortfall?.stripes.count ?? 0
            Terminal.warn(
                "beyond parity: \(outcome.object): \(stripes) stripes have more than "
                    + "\(outcome.shortfall?.budget ?? 0) bad blocks")
        }
        if report.covered > 0 { Terminal.remark("brought under parity: \(objects(report.covered))") }
        for object in report.unneeded { Terminal.remark("missing, and no snapshot needs it: \(object)") }
        for finding in report.lost { Terminal.warn("lost: \(finding.text): \(finding.problem)") }
        for finding in report.unreadable {
            Terminal.warn("left as it is: \(finding.text): \(finding.problem)")
        }
        for line in Loss.lines(report.losses) { Terminal.warn(line) }
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
