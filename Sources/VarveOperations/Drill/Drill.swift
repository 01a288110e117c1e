import Glibc
import VarveFiles
import VarveFormat
import VarveRepository
import VarveUpkeep

/// Proves that a snapshot comes back: restores it from one copy alone into a scratch directory, runs catastrophic
/// recovery and `db_verify` there, compares with what the manifest promised, and records the evidence in the copy.
///
/// The live environment is not touched: recovery runs where nothing but the restored files can be reached; where the
/// kernel does not allow that, a snapshot with names that could reach others is refused.
package struct Drill {
    package struct Options {
        /// Where to work; it must be there.
        package var scratch: String
        package var password: [UInt8]?
        /// Who did it, for the evidence.
        package var tool: String

        package init(scratch: String, password: [UInt8]?, tool: String) {
            self.scratch = scratch
            self.password = password
            self.tool = tool
        }
    }

    package struct Report {
        package var evidence: DrillEvidence
        /// The evidence's object; nil if it could not be kept, for the reason in `notes`.
        package var object: String?
        package var notes: [String]
    }

    private let repository: Repository
    private let options: Options
    private let cancellation: Cancellation
    private let progress: @Sendable (Progress) -> Void

    package init(
        repository: Repository, options: Options, cancellation: Cancellation = Cancellation(),
        progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        self.repository = repository
        self.options = options
        self.cancellation = cancellation
        self.progress = progress
    }

    /// A drill that fails is an outcome, and its evidence is kept as well.
    ///
    /// - Throws: `.refused`, `.wrongKey`, `.interrupted`, and a full disk, a limit or a right that is
    ///   missing: what says nothing of the copy. The scratch
    ///   directory is gone then, too.
    package func run(_ reference: SnapshotReference) throws(VarveError) -> Report {
        let start = Clock.monotonic()
        var evidence = DrillEvidence(
            repository: repository.id.description, copy: repository.copyID.description,
            snapshot: reference.name, tool: options.tool, host: Host.name, started: Clock.now())
        var notes: [String] = []
        do {
            try carryOut(reference, &evidence, &notes)
        } catch let error where !Self.saysNothing(error) {
            evidence.failures.append("\(error)")
        }
        evidence.isGood = evidence.failures.isEmpty
        evidence.seconds = Double(Clock.monotonic() - start) / 1e9
        do {
            return Report(evidence: evidence, object: try repository.record(evidence), notes: notes)
        } catch {
            return Report(
                evidence: evidence, object: nil, notes: notes + ["the evidence can't be kept: \(error)"])
        }
    }

    /// The copy may be as good as it likes: it can't be tried like this.
    private static func saysNothing(_ error: VarveError) -> Bool {
        [.interrupted, .refused, .wrongKey, .invalid, .locked].contains(error.code)
            || error.isNoSpace || [EFBIG, EMFILE, ENFILE, ENOMEM, EACCES, EPERM].contains(error.errno)
    }

    private func carryOut(
        _ reference: SnapshotReference, _ evidence: inout DrillEvidence, _ notes: inout [String]
    ) throws(VarveError) {
        let manifest = try repository.manifests.read(reference)
        if manifest.environment?.encrypted == true, options.password == nil {
            throw VarveError(
                .wrongKey,
                "the environment of snapshot \(reference) is encrypted: its drill needs the password",
                hint: "give it with --password-file")
        }
        let parent = try Path.resolve(options.scratch)
        try Self.requireElsewhere(parent, manifest.environment)
        let scratch = try DrillScratch(in: parent, bytes: manifest.files.bytesToWrite)
        defer { if let error = scratch.remove() { notes.append("\(scratch.path) is left: \(error)") } }
        let restorer = Restorer(repository: repository, cancellation: cancellation, progress: progress)
        let plan = try restorer.plan(
            reference, target: Path.join(scratch.path, "home"))
        notes += plan.notes + (plan.partialRemark.map { [$0] } ?? [])
        try plan.requireUse(of: options.password)
        // What is no environment is whole when it is restored.
        let recovers = plan.environment != nil
        let check = DrillCheck(plan, cancellation)
        let result = try restorer.restore(
            plan, recovery: recovers ? .init(password: options.password) : nil
        ) { (tree) throws(VarveError) in
            evidence.bytes = plan.totalBytes
            evidence.promisedEndOfLog = plan.recovery?.endOfLog
            evidence.recoverableTo = plan.recovery?.recoverableTo
            try check.restored(tree, &evidence)
        }
        notes += result.notes
        guard let report = result.recovery else { return }
        evidence.isIsolated = report.isIsolated
        evidence.covered = report.places
        check.recovered(report, &evidence)
    }

    /// A drill in the environment that it is about would put its files among the application's.
    private static func requireElsewhere(_ scratch: String, _ environment: Manifest.Environment?)
        throws(VarveError)
    {
        guard let environment, RecoveryLayout.isAt(scratch, RecoveryLayout.normal(environment.home)) else {
            return
        }
        throw VarveError(
            .refused, "the drill's scratch directory \(scratch) lies in the live \(environment.home)",
            hint: "choose another with --scratch")
    }
}
