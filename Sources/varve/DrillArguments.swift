import ArgumentParser
import Glibc
import VarveFormat
import VarveOperations
import VarveRepository
import VarveUpkeep

/// How a drill is done.
struct DrillArguments: ParsableArguments {
    @Option(
        help: "Where to restore to, for the time of the drill (TMPDIR, or /var/tmp).", completion: .directory)
    var scratch: String?

    @Option(help: "The source that 'latest' is of, by its name ('varve source list').")
    var source: String?

    @OptionGroup var password: PasswordArguments

    var areDefault: Bool {
        scratch == nil && source == nil && password.passwordFile == nil && password.passwordFd == nil
            && password.passwordCommand == nil
    }

    private var directory: String {
        if let scratch { return scratch }
        if let value = getenv("TMPDIR"), value.pointee != 0 { return String(cString: value) }
        return "/var/tmp"
    }

    func carryOut(_ snapshot: String, _ repository: Repository) throws -> DrillEvidence {
        let reference = try repository.find(snapshot, source: source)
        try repository.requireOutside(directory)
        let line = ProgressLine()
        let drill = Drill(
            repository: repository,
            options: .init(scratch: directory, password: try password.read(), tool: Tool.name),
            cancellation: Interruption.cancellation, progress: { line.show($0) })
        let outcome = try drill.run(reference)
        line.finish()
        let evidence = outcome.evidence
        for failure in evidence.failures { Terminal.say("failed: \(failure)") }
        for note in outcome.notes { Terminal.say("note: \(note)") }
        let verified = evidence.databases.count { $0.isGood }
        let reach = evidence.endOfLog.map { ", log to \($0)" } ?? ""
        Terminal.say(
            "drill: snapshot \(reference), \(ByteCount(evidence.bytes)) restored\(reach), \(verified) of "
                + "\(evidence.databases.count) database files verified in \(fixed(evidence.seconds)) s, "
                + (evidence.isIsolated ? "isolated" : "not isolated") + ": "
                + (evidence.isGood ? "all good" : "FAILED"))
        if let object = outcome.object { Terminal.say("evidence: \(repository.path)/\(object)") }
        return evidence
    }
}
