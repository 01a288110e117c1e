import VarveCapture
import VarveFormat
import VarveOperations
import VarveRepository

extension Repository {
    /// Takes an environment into the repository as a new snapshot, while applications write to it.
    ///
    /// When the call returns, the snapshot is durable on every copy that the report names. The environment's log files may
    /// be removed by the application meanwhile; no application waits longer than a quarter of a second.
    ///
    /// - Parameters:
    ///   - environment: what is backed up. The process must run as its owner, as a member of the group that shares it, or
    ///     as root.
    ///   - options: how it is read.
    ///   - progress: hears how far it is.
    /// - Returns: what was stored. Look at `needsAttention`: a snapshot may be tainted.
    /// - Throws: `locked` if another backup is at work in the environment or the repository, `tooFewCopies`,
    ///   `noEnvironment`, `needsRecovery`, `wrongKey`, `refused`, `interrupted`. Snapshots that are there already stay as
    ///   they are.
    public func backup(
        _ environment: Environment, options: BackupOptions = .init(), progress: ProgressHandler = .none
    ) async throws(VarveError) -> BackupReport {
        try await Operation.run(notices) { cancellation in
            let opened = try opened()
            let archiver = Archiver(
                repository: opened, copies: try copies(of: opened), required: options.requiredCopies,
                cancellation: cancellation, progress: progress.reporting)
            let helper = HelperOptions(
                password: environment.password, cancellation: cancellation)
            let wanted = environment.options(options)
            let result =
                switch options.mode {
                case .live:
                    try archiver.backup(
                        LiveSource(wanted, helper: helper), tool: Self.tool, as: options.source)
                case .offline:
                    try archiver.backup(OfflineSource(wanted), tool: Self.tool, as: options.source)
                case .direct:
                    try archiver.backup(
                        DirectSource(wanted, helper: helper), tool: Self.tool, as: options.source)
                }
            return BackupReport(result, damagedDocuments: opened.damagedIdentityDocuments)
        }
    }

    /// Undoes what a backup that was killed has left in a live environment. Harmless if there is nothing to undo; the next
    /// backup does the same.
    ///
    /// - Parameters:
    ///   - environment: the environment.
    ///   - notices: hears of errors that end nothing.
    public static func unwedge(
        _ environment: Environment, notices: NoticeHandler = .none
    ) async throws(VarveError) {
        try await Operation.run(notices) { _ in
            _ = try VarveOperations.unwedge(
                environment.options(BackupOptions()), password: environment.password)
        }
    }

    static let tool = Tool.name
}
