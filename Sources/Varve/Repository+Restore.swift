import VarveFormat
import VarveOperations
import VarveRepository

extension Repository {
    /// Restores a snapshot into an empty or new directory, recovers it, and verifies every database.
    ///
    /// The directory takes its name only when everything in it is there, recovered and durable. What the named copy cannot
    /// give is read from other copies.
    ///
    /// - Parameters:
    ///   - snapshot: of this repository.
    ///   - target: an empty or new directory.
    ///   - options: recovery, and where directories go.
    ///   - progress: hears how far it is.
    /// - Throws: `invalid` if the target is not empty; `refused` if there is too little room, or recovery could reach other
    ///   files; `corrupt` if the result is not what the snapshot promises.
    public func restore(
        _ snapshot: Snapshot, to target: String, options: RestoreOptions = .init(),
        progress: ProgressHandler = .none
    ) async throws(VarveError) -> RestoreReport {
        try await Operation.run(notices) { cancellation in
            let opened = try opened()
            let restorer = Restorer(
                repository: opened, copies: try copies(of: opened), cancellation: cancellation,
                progress: progress.reporting)
            let plan = try restorer.plan(
                snapshot.reference, target: target,
                options: .init(inPlace: options.isInPlace, map: options.map))
            try opened.requireOutside(target)
            try plan.requireUse(of: options.password)
            let recovers = options.recovers && plan.environment != nil
            let result = try restorer.restore(
                plan, recovery: recovers ? .init(password: options.password) : nil)
            if let report = result.recovery, !report.isGood {
                let bad = report.databases.filter { !$0.isGood }.map { "db_verify fails: \($0.path)" }
                throw VarveError(
                    .corrupt,
                    "the result is not what the snapshot promises: "
                        + (report.differences + bad).joined(separator: "; "), location: target,
                    hint: "restore an older snapshot, or from another copy")
            }
            return RestoreReport(plan, result)
        }
    }

    /// Proves that a snapshot comes back: restores it from the named copy into a scratch directory, recovers and verifies
    /// it there, keeps the evidence in the copy, and removes what was restored.
    ///
    /// - Parameters:
    ///   - snapshot: of this repository.
    ///   - scratch: a directory with room for the snapshot.
    ///   - password: of an encrypted environment.
    ///   - progress: hears how far it is.
    /// - Returns: what came back. Look at `isGood`.
    public func drill(
        _ snapshot: Snapshot, in scratch: String, password: [UInt8]? = nil, progress: ProgressHandler = .none
    ) async throws(VarveError) -> DrillReport {
        try await Operation.run(notices) { cancellation in
            let opened = try opened()
            try opened.requireOutside(scratch)
            let drill = Drill(
                repository: opened,
                options: .init(scratch: scratch, password: password, tool: Self.tool),
                cancellation: cancellation, progress: progress.reporting)
            let outcome = try drill.run(snapshot.reference)
            return DrillReport(outcome.evidence, notes: outcome.notes)
        }
    }
}
