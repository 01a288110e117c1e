import ArgumentParser
import Glibc
import VarveFormat
import VarveOperations
import VarveRepository
import VarveUpkeep

/// How a drill is done.
struct DrillArguments: ParsableArguments {
    @Option(
        help: "Directory for the restored files while the drill runs (default: TMPDIR, or /var/tmp).",
        completion: .directory)
    var scratch: String?

    @OptionGroup var source: SourceOption
    @OptionGroup var password: PasswordArguments

    var areDefault: Bool {
        scratch == nil && source.source == nil && password.passwordFile == nil && password.passwordFd == nil
            && password.passwordCommand == nil
    }

    private var directory: String {
        if let scratch { return scratch }
        if let value = getenv("TMPDIR"), value.pointee != 0 { return String(cString: value) }
        return "/var/tmp"
    }

    /// - Returns: the evidence, where it is kept, and the result in words.
    func carryOut(
        _ snapshot: String, _ repository: Repository
    ) throws -> (evidence: DrillEvidence, place: String?, words: String) {
        let reference = try repository.find(snapshot, source: source.source)
        try repository.requireOutside(directory)
        let line = ProgressLine()
        let drill = Drill(
            repository: repository,
            options: .init(scratch: directory, password: try password.read(), tool: Tool.name),
            cancellation: Interruption.cancellation, progress: { line.show($0) })
        let outcome = try drill.run(reference)
        line.finish()
        let evidence = outcome.evidence
        for failure in evidence.failures { Terminal.warn("failed: \(failure)") }
        for note in outcome.notes { Terminal.warn("note: \(note)") }
        let verified = evidence.databases.count { $0.isGood }
        let reach = evidence.endOfLog.map { ", log to \($0)" } ?? ""
        return (
            evidence, outcome.object.map { "\(repository.path)/\($0)" },
            "drill: snapshot \(reference), \(ByteCount(evidence.bytes)) restored\(reach), \(verified) of "
                + "\(evidence.databases.count) database files verified in \(fixed(evidence.seconds)) s, "
                + (evidence.isIsolated ? "isolated" : "not isolated") + ": "
                + (evidence.isGood ? "all good" : "FAILED")
        )
    }
}
