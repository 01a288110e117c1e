import VarveCopies
import VarveFormat
import VarveRepository
import VarveUpkeep

extension Repository {
    /// Proves that what is stored can be read.
    ///
    /// - Parameters:
    ///   - parts: what is looked at.
    ///   - copy: the label, id or path of a copy; nil: the named one.
    ///   - progress: hears how far it is.
    /// - Returns: what was found. Damage is no error: look at `isGood`.
    public func verify(
        _ parts: Set<VerificationPart> = [.media, .content], copy: String? = nil,
        progress: ProgressHandler = .none
    ) async throws(VarveError) -> VerificationReport {
        try await Operation.run(notices) { cancellation in
            let named = try opened()
            let opened = try copy.map { try copies(of: named).find($0).there() } ?? named
            func verifier() -> Verifier {
                Verifier(opened, cancellation: cancellation, progress: progress.reporting)
            }
            var reports: [VarveUpkeep.VerificationReport] = []
            if parts.contains(.media) { reports.append(try verifier().verifyMedia()) }
            if parts.contains(.content) { reports.append(try verifier().verifyContent()) }
            return VerificationReport(reports)
        }
    }

    /// Replaces what is damaged or missing in a copy, from other copies or from parity. What was bad goes to the copy's
    /// `quarantine` directory; nothing is deleted.
    ///
    /// - Parameters:
    ///   - copy: the label, id or path of a copy; nil: each that is there.
    ///   - progress: hears how far it is.
    public func heal(copy: String? = nil, progress: ProgressHandler = .none) async throws(VarveError)
        -> [HealReport]
    {
        try await Operation.run(notices) { cancellation in
            let opened = try opened()
            var all = try copies(of: opened)
            if try !all.healIdentities().isEmpty { all = try copies(of: opened) }
            let healer = Healer(
                all, cancellation: cancellation, progress: progress.reporting)
            return try (copy.map { [try all.find($0)] } ?? all.online).map { target in
                HealReport(try healer.run(try healer.plan(target)))
            }
        }
    }

    /// Adds a copy in an empty or new directory, and brings everything to it. For a copy that is known already: tells where
    /// it is now.
    ///
    /// - Parameters:
    ///   - path: a directory, on a disk of its own.
    ///   - label: a name for people; nil: one that is free.
    ///   - progress: hears how far it is.
    /// - Throws: `wrongDisk` if another repository is there, `invalid` if the directory is not empty. Nothing was written
    ///   then.
    public func addCopy(
        at path: String, label: String? = nil, progress: ProgressHandler = .none
    ) async throws(VarveError) -> SyncReport {
        try await Operation.run(notices) { cancellation in
            let opened = try opened()
            let added = try CopyRegistry(try copies(of: opened)).add(at: path, label: label, role: "local")
            let all = try copies(of: opened)
            let synchronizer = CopySynchronizer(
                all, cancellation: cancellation, progress: progress.reporting)
            return SyncReport(try synchronizer.run(try all.find(added.record.copy)))
        }
    }

    /// Brings to a copy everything that it lacks and other copies have.
    ///
    /// - Parameters:
    ///   - copy: the label, id or path of a copy.
    ///   - progress: hears how far it is.
    /// - Returns: what was copied. Look at `isComplete`.
    public func synchronize(_ copy: String, progress: ProgressHandler = .none) async throws(VarveError)
        -> SyncReport
    {
        try await Operation.run(notices) { cancellation in
            let all = try copies(of: opened())
            let synchronizer = CopySynchronizer(
                all, cancellation: cancellation, progress: progress.reporting)
            return SyncReport(try synchronizer.run(try all.find(copy)))
        }
    }
}
