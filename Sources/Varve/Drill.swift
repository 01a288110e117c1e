import VarveFiles
import VarveFormat
import VarveRepository

/// Proves that a snapshot comes back: restores it from one copy alone into a scratch directory, runs catastrophic
/// recovery and `db_verify` there, compares with what the manifest promised, and records the evidence in the copy.
///
/// The live environment is not touched: as root recovery runs where its paths lead to the restored files
/// (`DrillIsolation`); otherwise a snapshot with names that could reach it is refused.
public struct Drill {
    public struct Options {
        /// Where to work; it must be there.
        public var scratch: String
        public var password: [UInt8]?
        /// Who did it, for the evidence.
        public var tool: String

        public init(scratch: String, password: [UInt8]?, tool: String) {
            self.scratch = scratch
            self.password = password
            self.tool = tool
        }
    }

    public struct Outcome {
        public var evidence: DrillEvidence
        /// The evidence's object; nil if it could not be kept, for the reason in `notes`.
        public var object: String?
        public var notes: [String]
    }

    private let repository: Repository
    private let options: Options
    private let cancellation: Cancellation
    private let progress: @Sendable (Progress) -> Void

    public init(
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
    /// - Throws: `.refused`, `.wrongKey`, `.interrupted`, and a full disk: what says nothing of the copy. The scratch
    ///   directory is gone then, too.
    public func run(_ reference: SnapshotReference) throws -> Outcome {
        let start = Clock.monotonic()
        var evidence = DrillEvidence(
            repository: repository.id.description, copy: repository.copyID.description,
            snapshot: reference.name, tool: options.tool, host: Host.name, started: Clock.now())
        var notes: [String] = []
        do {
            try carryOut(reference, &evidence, &notes)
        } catch let error as VarveError where !Self.saysNothing(error) {
            evidence.failures.append("\(error)")
        }
        evidence.isGood = evidence.failures.isEmpty
        evidence.seconds = Double(Clock.monotonic() - start) / 1e9
        do {
            return Outcome(evidence: evidence, object: try repository.record(evidence), notes: notes)
        } catch {
            return Outcome(
                evidence: evidence, object: nil, notes: notes + ["the evidence can't be kept: \(error)"])
        }
    }

    /// The copy may be as good as it likes: it can't be tried like this.
    private static func saysNothing(_ error: VarveError) -> Bool {
        [.interrupted, .refused, .wrongKey, .invalid, .locked].contains(error.code)
            || error.isNoSpace
    }

    private func carryOut(
        _ reference: SnapshotReference, _ evidence: inout DrillEvidence, _ notes: inout [String]
    ) throws {
        let manifest = try repository.manifests.read(reference)
        if manifest.environment?.encrypted == true, options.password == nil {
            throw VarveError(
                .wrongKey,
                "the environment of snapshot \(reference) is encrypted: its drill needs the password",
                hint: "give it with --password-file")
        }
        let parent = try Path.resolve(options.scratch)
        let scratch = try DrillScratch(in: parent, bytes: manifest.totalBytes)
        defer { if let error = scratch.remove() { notes.append("\(scratch.path) is left: \(error)") } }
        let restorer = Restorer(repository: repository, cancellation: cancellation, progress: progress)
        let plan = try restorer.plan(
            reference, target: Path.join(scratch.path, "home"), options: .init(allowAbsolute: Host.isRoot))
        notes += plan.notes + (plan.partialRemark.map { [$0] } ?? [])
        try restorer.restore(plan)
        evidence.bytes = plan.totalBytes
        evidence.promisedEndOfLog = plan.recovery?.endOfLog
        evidence.recoverableTo = plan.recovery?.recoverableTo
        var check = DrillCheck(plan, cancellation)
        try check.restored(&evidence)
        // What is no environment is whole when it is restored.
        guard plan.environment != nil, plan.recovery != nil else { return }
        let report = try recover(plan, scratch.path, &notes)
        evidence.isIsolated = report.covered != nil
        evidence.covered = report.covered ?? []
        try check.recovered(report, &evidence)
    }

    /// Isolated as root; where the kernel does not let us, only what can't reach live files.
    private func recover(
        _ plan: RestorePlan, _ scratch: String, _ notes: inout [String]
    ) throws -> RecoveryReport {
        guard Host.isRoot else {
            return try Recovery(plan, password: options.password, cancellation: cancellation).run()
        }
        let isolation = try DrillIsolation(plan, scratch: scratch)
        do {
            return try Recovery(
                plan, password: options.password, cancellation: cancellation, isolation: isolation
            ).run()
        } catch let error as VarveError where error.code == .noIsolation {
            guard plan.absoluteNames.isEmpty, plan.environment?.encrypted != true else {
                throw VarveError(
                    .refused, "recovery could write to live files, and no mount namespace can be made here",
                    hint: "run the drill on another machine, or where root may mount", cause: error)
            }
            notes.append("not isolated: \(error)")
            return try Recovery(plan, password: options.password, cancellation: cancellation).run()
        }
    }
}
