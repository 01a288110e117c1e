import VarveCapture
import VarveChunking
import VarveCodec
import VarveCopies
import VarveFiles
import VarveFormat
import VarveRepository
import VarveUpkeep

/// Takes one capture into a repository as a new snapshot.
///
/// When `backup` returns, the snapshot is committed and durable, on as many copies as were required. When it throws, no
/// copy's snapshots are other than before; but for `.tooFewCopies`, where copies fail while the manifest is published:
/// then some may have the snapshot, whole, and the error says so.
package final class Archiver {
    package struct Report: Sendable {
        package var snapshot: SnapshotReference
        package var manifest: Manifest
        /// Of each copy, where the repository has several.
        package var copies: [CopyAcknowledgement] = []
        /// What became of this copy's parity; nil if it keeps none.
        package var parity: Result<ParityReport, VarveError>?
        /// What the source is called.
        package var source: String
    }

    private let repository: Repository
    private let copies: RepositoryCopies?
    private let required: Int
    private let cancellation: Cancellation
    private let progress: @Sendable (Progress) -> Void

    /// - Parameters:
    ///   - copies: of the repository, which is the first of them; nil if it stands alone.
    ///   - required: so many copies must have the snapshot for it to count.
    ///   - progress: called often, on the thread that called `backup`.
    package init(
        repository: Repository, copies: RepositoryCopies? = nil, required: Int = 1,
        cancellation: Cancellation = Cancellation(),
        progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        self.repository = repository
        self.copies = copies
        self.required = required
        self.cancellation = cancellation
        self.progress = progress
    }

    /// - Parameters:
    ///   - tool: name and version, for the manifest.
    ///   - given: the name of the source (`SourceList.name` without one); it is remembered beside the environment.
    package func backup(_ source: some CaptureSource, tool: String, as given: String? = nil)
        throws(VarveError) -> Report
    {
        do {
            return try makeSnapshot(of: source, tool, given)
        } catch var error where error.code == .interrupted && error.hint == nil {
            error.message = "interrupted: this backup made no snapshot"
            error.hint = "run the same command again; what this one has stored is not stored twice"
            throw error
        }
    }

    private func makeSnapshot(of source: some CaptureSource, _ tool: String, _ given: String?)
        throws(VarveError) -> Report
    {
        if let given { try SourceName.check(given) }
        let started = Clock.now()
        var written: WrittenCopies?
        if let copies, copies.copies.count > 1 || required > 1 {
            written = try WrittenCopies(copies, required: required)
        }
        if let refusal = copies?.copies[0].refusal { throw refusal }
        let writer =
            if let written { try RepositoryWriter(to: written) } else { try RepositoryWriter(repository) }
        let (host, home, sources) = (Host.name, source.home, try repository.sources())
        let remembered = source.rememberedSource()
        let choice = sources.name(given: given, remembered: remembered, host: host, home: home)
        let name = choice.name
        let parent =
            home == nil ? nil : try ParentSnapshot.newest(of: name, in: repository, sources.catalog)
        let session = try ArchiveSession(
            writer: writer, parent: parent, cancellation: cancellation, progress: progress)
        defer { session.close() }
        let summary = try source.capture(into: session)
        try cancellation.check()
        var (files, statistics) = try session.finish()
        for index in files.indices {
            guard let id = files[index].database?.uid, summary.removed.contains(id) else { continue }
            files[index].database?.removed = true
        }
        var directories = summary.directories
        let late = ManifestCheck.boundTimes(&files, &directories).map { [$0] } ?? []
        let previous = try writer.latest()
        var manifest = Manifest(
            repository: repository.id.description, sequence: try writer.nextSequence(),
            previous: previous?.name,
            tool: tool, host: host, started: started, finished: Clock.now(),
            environment: summary.environment,
            recovery: summary.recovery, files: files, directories: directories,
            warnings: summary.warnings + session.warnings + late
                + choice.warnings(on: host),
            statistics: statistics, source: name)
        if !summary.requires.isEmpty { manifest.requires = summary.requires }
        try ManifestCheck.requireRestorable(manifest)
        let snapshot = try writer.commit(manifest)
        if let home, !choice.isOnlyHere, remembered != RememberedSource(name: name, home: home) {
            source.remember(RememberedSource(name: name, home: home))
        }
        // After the commit: it takes time in which a snapshot that is complete should not be lost. What is not covered
        // if this is interrupted, the next backup covers.
        let parity = ([repository] + (written?.others ?? [])).updateParity(cancellation: cancellation)
        return Report(
            snapshot: snapshot, manifest: manifest, copies: written?.acknowledgements ?? [], parity: parity,
            source: name)
    }
}
