import Glibc
import VarveCopies
import VarveFormat
import VarveRepository
import VarveUpkeep

/// The page for people: in colour on a terminal.
struct StatusPage {
    let status: RepositoryStatus
    private let isColoured = isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil

    init(_ status: RepositoryStatus) { self.status = status }

    private enum Tone: String { case good = "32", warning = "33", bad = "31" }

    private func paint(_ text: String, _ tone: Tone) -> String {
        isColoured ? Terminal.painted(text, tone.rawValue) : text
    }

    var text: String {
        var lines = status.sources.flatMap { source($0) }
        if !lines.isEmpty { lines.append("") }
        lines += status.copies.flatMap { copy($0) }
        lines.append("")
        lines +=
            status.problems.isEmpty
            ? [paint("all is well", .good) + away] : status.problems.map { paint("problem: \($0)", .bad) }
        return lines.joined(separator: "\n")
    }

    /// No problem by the policy, and still worth a word in an emergency.
    private var away: String {
        let labels = status.copies.filter { !$0.present }.map(\.label)
        if labels.isEmpty { return "" }
        return
            " (\(labels.count) \(labels.count == 1 ? "copy" : "copies") away: \(labels.joined(separator: ", ")))"
    }

    private func source(_ source: RepositoryStatus.Source) -> [String] {
        var lines = [source.name + (source.archived ? ", archived" : "")]
        lines.append("  newest    " + facts(source.newest))
        if let verified = source.newestVerified {
            if verified.snapshot != source.newest.snapshot { lines.append("  verified  " + facts(verified)) }
        } else if !source.newest.partial && !source.archived {
            lines.append(
                "  verified  " + paint("no snapshot on \(status.policy.minimumCopies) copies", .bad))
        }
        return lines
    }

    private func facts(_ facts: RepositoryStatus.SnapshotFacts) -> String {
        let verified = facts.verifiedCopies.isEmpty ? "none" : facts.verifiedCopies.joined(separator: ", ")
        return "\(facts.snapshot)  restores to \(facts.restoresTo.toSeconds), "
            + (facts.age < -Timestamp.clockTolerance ? paint("IN THE FUTURE", .bad) : "\(age(facts.age)) ago")
            + "\(facts.tainted ? paint(", TAINTED", .warning) : "")"
            + "\(facts.partial ? paint(", PARTIAL", .bad) : "")"
            + "; on \(facts.copies.joined(separator: ", ")); verified on \(verified)"
    }

    private func copy(_ copy: RepositoryStatus.CopyStatus) -> [String] {
        let state: String
        if !copy.present {
            let since = copy.lastSeen.map { ", last seen \($0.toSeconds)" } ?? ""
            state = copy.detached.map { "detached since \($0.toSeconds)" } ?? paint("away\(since)", .warning)
        } else if copy.trouble != nil {
            state = paint("NOT WRITTEN TO", .bad)
        } else if let lacking = copy.lacking, lacking > 0 {
            state = paint("lags behind by \(objects(lacking))", .warning)
        } else {
            state = paint("present", .good)
        }
        var lines = ["\(copy.label) (\(copy.role)): \(state), \(copy.path)"]
        let newest = copy.newestSnapshot.map { ", to \($0)" } ?? ""
        let synchronized = copy.synchronized.map { ", synchronized \($0.toSeconds)" } ?? ""
        lines.append("  holds     \(snapshots(Int(copy.snapshots)))\(newest)\(synchronized)")
        if let free = copy.free, let capacity = copy.capacity {
            lines.append("  space     \(ByteCount(free)) free of \(ByteCount(capacity))")
        }
        guard let health = copy.health else { return lines }
        lines.append("  read      " + reading(health))
        for damage in health.damage.prefix(5) {
            let place = damage.range.map { ", bytes \($0.lowerBound) to \($0.upperBound)" } ?? ""
            lines.append("  " + paint("damaged   \(damage.object)\(place): \(damage.result)", .bad))
        }
        if let drill = health.lastDrill {
            lines.append(
                "  drill     "
                    + paint(drill.isGood ? "passed" : "FAILED", drill.isGood ? .good : .bad)
                    + " \(drill.started.toSeconds), snapshot \(SnapshotReference(name: drill.snapshot)?.description ?? drill.snapshot)"
            )
        } else {
            lines.append("  drill     never (varve verify --drill)")
        }
        return lines
    }

    private func reading(_ health: MediaHealth) -> String {
        let share = Int(health.share * 100)
        var text = paint(
            "\(share) % of \(ByteCount(health.bytes)) in the last \(age(status.policy.readWithin))",
            share == 100 ? .good : .warning)
        if health.neverReadBytes > 0 { text += ", \(ByteCount(health.neverReadBytes)) never read" }
        if let oldest = health.oldestReading { text += ", oldest reading \(oldest.toSeconds)" }
        return text
    }
}
