import VarveCapture
import VarveChunking
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository

/// Takes one capture into a repository as a new snapshot.
///
/// When `backup` returns, the snapshot is committed and durable, on as many copies as were required. When it throws, no
/// copy's snapshots are other than before; but for `.tooFewCopies`, where copies fail while the manifest is published:
/// then some may have the snapshot, whole, and the error says so.
public final class Archiver {
    public struct Result: Sendable {
        public var snapshot: SnapshotReference
        public var manifest: Manifest
        /// Of each copy, where the repository has several.
        public var copies: [CopyAcknowledgement] = []
        /// What became of this copy's parity; nil if it keeps none.
        public var parity: Swift.Result<ParityReport, VarveError>?
        /// What the source is called.
        public var source: String
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
    public init(
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
    ///   - name: of the source (`SourceList.name` without one); it is remembered beside the environment.
    public func backup(_ source: some CaptureSource, tool: String, as given: String? = nil) throws -> Result {
        if let given { try SourceName.check(given) }
        let started = Clock.now()
        let writer = try RepositoryWriter(repository, copies: copies, required: required)
        let (host, home, sources) = (Host.name, source.home, try repository.sources())
        let remembered = source.rememberedSource()
        let choice = sources.name(given: given, remembered: remembered, host: host, home: home)
        let name = choice.name
        let parent =
            home == nil ? nil : try ParentSnapshot.newest(of: name, in: repository, sources.catalog)
        let session = ArchiveSession(
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
        let parity = writer.updateParity { [cancellation] in cancellation.isRequested }
        return Result(
            snapshot: snapshot, manifest: manifest, copies: writer.acknowledgements, parity: parity,
            source: name)
    }
}

/// The sink of one capture: cuts files into extents and sends them through the pipeline into the writer.
private final class ArchiveSession: CaptureSink {
    private let cancellation: Cancellation
    private let progress: @Sendable (Progress) -> Void
    private let extentSize: UInt32
    private let collector: ExtentCollector
    private let pipeline: ExtentPipeline
    /// What a file is compared with.
    private struct Parent {
        var file: ParentFile
        var snapshot: SnapshotReference
    }

    private let parent: ParentSnapshot?
    private let related: RelatedDatabases
    private let parentReader: BlobReader
    private var file: (source: SourceFile, cutter: ExtentCutter, parent: Parent?)?
    private var batch: ExtentPipeline.Batch?
    /// Where in the file the extent being filled begins.
    private var extentOffset: UInt64 = 0
    private var bytesDone: UInt64 = 0
    private var bytesTotal: UInt64?
    /// What was noticed of the repository itself.
    private(set) var warnings: [Manifest.Warning] = []
    /// Files that were not read.
    private var takenOver: [Manifest.File] = []

    init(
        writer: RepositoryWriter, parent: ParentSnapshot?, cancellation: Cancellation,
        progress: @escaping @Sendable (Progress) -> Void
    ) {
        self.parent = parent
        related = RelatedDatabases(writer.repository)
        self.cancellation = cancellation
        self.progress = progress
        let parameters = writer.repository.description.parameters
        extentSize = parameters.extentSize
        let collector = ExtentCollector(writer: writer, level: parameters.compressionLevel)
        self.collector = collector
        let storage = writer.storage
        parentReader = BlobReader(index: writer.index, storage: storage)
        pipeline = ExtentPipeline(
            .init(
                extentSize: Int(extentSize), level: parameters.compressionLevel, index: writer.index,
                storage: storage),
            workers: Host.workers, collect: { try collector.collect($0) })
    }

    func expect(totalBytes: UInt64) { bytesTotal = totalBytes }

    func begin(_ source: SourceFile) throws {
        precondition(file == nil, "begin without end")
        guard source.unit.nonzeroBitCount == 1, source.unit <= extentSize else {
            throw VarveError(
                .invalid, "\(source.path) has pages of \(source.unit) bytes, which no extent can hold")
        }
        let before = try openParent(of: source)
        file = (source, ExtentCutter(preferredSize: extentSize, unit: source.unit), before)
        extentOffset = 0
        progress(Progress(item: source.path, bytesDone: bytesDone, bytesTotal: bytesTotal))
    }

    /// A parent that can't be read costs space, not the backup. But what did not change since is not stored again, so
    /// the new snapshot may need just what is damaged: that must be said.
    private func openParent(of source: SourceFile) throws -> Parent? {
        guard let (file, snapshot) = findParent(of: source) else { return nil }
        do {
            return Parent(file: try ParentFile(file, reader: parentReader), snapshot: snapshot)
        } catch let error as VarveError where error.isAccess {
            throw error.unreadable("what this backup builds on")
        } catch {
            noteDamage(source.path, snapshot, error)
            return nil
        }
    }

    /// The same database, under whatever name; else what has its name; else a copy of it in another source.
    private func findParent(of source: SourceFile) -> (Manifest.File, SnapshotReference)? {
        if let parent {
            let file = source.uid.flatMap { parent.database(uid: $0) } ?? parent.file(source.path)
            if let file { return (file, parent.reference) }
        }
        return source.uid.flatMap { related.find(uid: $0) }.map { ($0.file, $0.snapshot) }
    }

    private func noteDamage(_ path: String, _ snapshot: SnapshotReference, _ error: any Error) {
        // One is enough to make somebody look.
        guard warnings.isEmpty else { return }
        warnings.append(
            Manifest.Warning(
                code: Manifest.Warning.repositoryDamaged,
                message:
                    "\(path) of snapshot \(snapshot) can't be read (\(error)), and this snapshot may share"
                    + " what is damaged: run 'varve verify'", path: path, taints: true))
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try cancellation.check()
        guard let source = file?.source, var cutter = file?.cutter else {
            preconditionFailure("write without begin")
        }
        try cutter.write(bytes, at: offset, buffer: buffer, full: extentIsFull)
        file?.cutter = cutter
        bytesDone += UInt64(bytes.count)
        progress(Progress(item: source.path, bytesDone: bytesDone, bytesTotal: bytesTotal))
    }

    func end(_ facts: SourceFileFacts) throws {
        guard let source = file?.source, var cutter = file?.cutter else {
            preconditionFailure("end without begin")
        }
        let rest = try cutter.finish(size: facts.size, buffer: buffer, full: extentIsFull)
        let last = try batch ?? pipeline.acquire()
        batch = nil
        if rest > 0 { noteParent(last, at: facts.size - UInt64(rest)) }
        last.rest = rest
        file = nil
        let collector = collector
        last.atEnd = { try collector.endFile(source, facts) }
        try pipeline.submit(last)
    }

    private func buffer() throws -> UnsafeMutableRawBufferPointer {
        if let batch { return batch.current }
        let next = try pipeline.acquire()
        batch = next
        return next.current
    }

    private func extentIsFull() throws {
        guard let current = batch else { preconditionFailure("no extent was begun") }
        noteParent(current, at: extentOffset)
        extentOffset += UInt64(extentSize)
        current.fullCount += 1
        guard current.isFull else { return }
        batch = nil
        try pipeline.submit(current)
    }

    /// Before the extent is counted.
    private func noteParent(_ batch: ExtentPipeline.Batch, at offset: UInt64) {
        do {
            batch.parentSnapshot = file?.parent?.snapshot ?? batch.parentSnapshot
            batch.parents.append(try file?.parent?.file.extent(at: offset))
        } catch {
            if let file, let parent = file.parent { noteDamage(file.source.path, parent.snapshot, error) }
            file?.parent = nil
            batch.parents.append(nil)
        }
    }

    var previousSnapshot: PreviousSnapshot? {
        parent.map { PreviousSnapshot(databases: $0.allDatabases, endOfLog: $0.endOfLog) }
    }

    /// Damage in a tainted snapshot is noticed and said again only where it is read again.
    func previous(_ path: String) -> Manifest.File? {
        var file = parent?.file(path)
        if parent?.isTainted == true { file?.identity = nil }
        return file
    }

    /// Its map is walked, and the index asked for every extent: what is lost would not be stored anew otherwise.
    func takeOver(_ source: SourceFile) throws -> Bool {
        precondition(file == nil, "takeOver without end")
        guard let previous = previous(source.path) else { return false }
        do {
            var map = try ExtentMapReader(previous, reader: parentReader)
            while let extent = try map.next() {
                try cancellation.check()
                guard parentReader.contains(extent.id) else { return false }
            }
        } catch let error as VarveError where error.code != .interrupted {
            // Said by `openParent`, once the file is delivered.
            return false
        }
        var tally = Manifest.Tally()
        let extents = (previous.size + UInt64(extentSize) - 1) / UInt64(extentSize)
        tally.unread = .init(count: extents, bytes: previous.size)
        takenOver.append(
            Manifest.File(
                path: source.path, kind: source.kind, size: previous.size, attributes: source.attributes,
                map: previous.map, database: previous.database, log: previous.log, tally: tally,
                identity: previous.identity, reading: Reading.unchanged.rawValue))
        bytesDone += previous.size
        progress(Progress(item: source.path, bytesDone: bytesDone, bytesTotal: bytesTotal))
        return true
    }

    func finish() throws -> ([Manifest.File], Manifest.Statistics) {
        try pipeline.drain()
        if let (path, snapshot, error) = collector.damage { noteDamage(path, snapshot, error) }
        var statistics = collector.statistics
        if !takenOver.isEmpty {
            statistics.unreadFiles = UInt64(takenOver.count)
            statistics.unreadBytes = takenOver.reduce(0) { $0 + $1.size }
        }
        return ((collector.files + takenOver).sorted { $0.path < $1.path }, statistics)
    }

    func close() { pipeline.close() }
}

/// Runs on the pipeline's collecting thread: appends blobs in order and builds the maps.
private final class ExtentCollector: @unchecked Sendable {
    // Sendable: touched by the collecting thread only, and read after the pipeline was drained.
    private let writer: RepositoryWriter
    private let encoder: BlobEncoder
    private var buffer: [UInt8]
    private var map: ExtentMapBuilder
    private let extentSize: UInt32
    private(set) var files: [Manifest.File] = []
    private(set) var statistics = Manifest.Statistics()
    /// Of the file that is being collected.
    private var tally = Manifest.Tally()
    private var damageOfFile: (snapshot: SnapshotReference, error: any Error)?
    /// The first file whose parent could not be read in all places, and why.
    private(set) var damage: (path: String, snapshot: SnapshotReference, error: any Error)?

    init(writer: RepositoryWriter, level: Int32) {
        self.writer = writer
        encoder = BlobEncoder(level: level)
        buffer = [UInt8](repeating: 0, count: BlobEncoder.bound(ExtentMapNode.maximumLength))
        extentSize = writer.repository.description.parameters.extentSize
        map = ExtentMapBuilder(extentSize: extentSize)
    }

    func collect(_ batch: ExtentPipeline.Batch) throws {
        if let snapshot = batch.parentSnapshot, let error = batch.damage, damageOfFile == nil {
            damageOfFile = (snapshot, error)
        }
        for (index, result) in batch.outcomes.enumerated() {
            let length = UInt64(batch.extent(index).count)
            if let header = result.header, try writer.append(header, batch.blob(index, header)) {
                let stored = UInt64(header.totalLength)
                if header.encoding == .delta {
                    tally.deltas.add(bytes: length, stored: stored)
                    statistics.deepestChain = max(statistics.deepestChain, UInt64(result.depth))
                } else {
                    tally.whole.add(bytes: length, stored: stored)
                }
            } else if result.id == .zero {
                tally.zeros.add(bytes: length)
            } else if batch.parents[index] == result.id {
                tally.unchanged.add(bytes: length)
            } else {
                tally.deduplicated.add(bytes: length)
            }
            try map.append(result.id, length: length) { try store($0) }
        }
    }

    func endFile(_ source: SourceFile, _ facts: SourceFileFacts) throws {
        let root = try map.finish { try store($0) }
        map = ExtentMapBuilder(extentSize: extentSize)
        if let (snapshot, error) = damageOfFile, damage == nil { damage = (source.path, snapshot, error) }
        damageOfFile = nil
        files.append(
            Manifest.File(
                path: source.path, kind: source.kind, size: facts.size, attributes: source.attributes,
                map: root?.hex, database: facts.database, log: facts.log, tally: tally,
                identity: facts.identity, reading: facts.reading?.rawValue))
        statistics.add(tally)
        tally = Manifest.Tally()
    }

    private func store(_ node: ExtentMapNode) throws -> ContentID {
        let bytes = node.encoded
        let id = bytes.withUnsafeBytes { Hasher.id(of: $0, .map) }
        if writer.contains(id) { return id }
        try bytes.withUnsafeBytes { bytes in
            try buffer.withUnsafeMutableBytes { buffer in
                let header = try encoder.encode(bytes, id: id, type: .map, into: buffer)
                let blob = UnsafeRawBufferPointer(
                    rebasing: UnsafeRawBufferPointer(buffer)[..<header.totalLength])
                if try writer.append(header, blob) {
                    tally.maps.add(bytes: UInt64(bytes.count), stored: UInt64(header.totalLength))
                }
            }
        }
        return id
    }
}

extension Manifest.Statistics {
    fileprivate mutating func add(_ tally: Manifest.Tally) {
        let read = tally.zeros + tally.unchanged + tally.deduplicated + tally.new
        sourceBytes += read.bytes
        extents += read.count
        newExtents += tally.new.count
        newBytes += tally.new.bytes
        storedBytes += tally.added.stored
        metadataBytes += tally.maps.stored
        deltaExtents += tally.deltas.count
        deltaBytes += tally.deltas.stored
    }
}
