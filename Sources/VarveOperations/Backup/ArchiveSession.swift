import VarveBlobs
import VarveCapture
import VarveChunking
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository

/// The sink of one capture: cuts files into extents and sends them through the pipeline into the writer.
final class ArchiveSession: CaptureSink {
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
    private var takenOver: [Manifest.StoredFile] = []

    init(
        writer: RepositoryWriter, parent: ParentSnapshot?, cancellation: Cancellation,
        progress: @escaping @Sendable (Progress) -> Void
    ) throws(VarveError) {
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
        pipeline = try ExtentPipeline(
            .init(
                extentSize: Int(extentSize), level: parameters.compressionLevel, index: writer.index,
                storage: storage),
            workers: Host.workers, collect: { (batch) throws(VarveError) in try collector.collect(batch) })
    }

    func expect(totalBytes: UInt64) { bytesTotal = totalBytes }

    func begin(_ source: SourceFile) throws(VarveError) {
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
    private func openParent(of source: SourceFile) throws(VarveError) -> Parent? {
        guard let (file, snapshot) = findParent(of: source) else { return nil }
        do {
            return Parent(file: try ParentFile(file, reader: parentReader), snapshot: snapshot)
        } catch let error where error.isAccess {
            throw error.unreadable("what this backup builds on")
        } catch {
            noteDamage(source.path, snapshot, error)
            return nil
        }
    }

    /// The same database, under whatever name; else what has its name; else a copy of it in another source.
    private func findParent(of source: SourceFile) -> (Manifest.StoredFile, SnapshotReference)? {
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

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(VarveError) {
        try cancellation.check()
        guard let source = file?.source, var cutter = file?.cutter else {
            preconditionFailure("write without begin")
        }
        try cutter.write(bytes, at: offset, buffer: buffer, full: extentIsFull)
        file?.cutter = cutter
        bytesDone += UInt64(bytes.count)
        progress(Progress(item: source.path, bytesDone: bytesDone, bytesTotal: bytesTotal))
    }

    func end(_ facts: SourceFileFacts) throws(VarveError) {
        guard let source = file?.source, var cutter = file?.cutter else {
            preconditionFailure("end without begin")
        }
        let rest = try cutter.finish(size: facts.size, buffer: buffer, full: extentIsFull)
        let last = if let batch { batch } else { try pipeline.acquire() }
        batch = nil
        if rest > 0 { noteParent(last, at: facts.size - UInt64(rest)) }
        last.rest = rest
        file = nil
        let collector = collector
        last.atEnd = { () throws(VarveError) in try collector.endFile(source, facts) }
        try pipeline.submit(last)
    }

    private func buffer() throws(VarveError) -> UnsafeMutableRawBufferPointer {
        if let batch { return batch.current }
        let next = try pipeline.acquire()
        batch = next
        return next.current
    }

    private func extentIsFull() throws(VarveError) {
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
    func previous(_ path: String) -> Manifest.StoredFile? {
        var file = parent?.file(path)
        if parent?.isTainted == true { file?.identity = nil }
        return file
    }

    /// Its map is walked, and the index asked for every extent: what is lost would not be stored anew otherwise.
    func takeOver(_ source: SourceFile) throws(VarveError) -> Bool {
        precondition(file == nil, "takeOver without end")
        guard let previous = previous(source.path) else { return false }
        do {
            var map = try ExtentMapReader(previous, reader: parentReader)
            while let extent = try map.next() {
                try cancellation.check()
                guard parentReader.contains(extent.id) else { return false }
            }
        } catch let error where error.code != .interrupted {
            // Said by `openParent`, once the file is delivered.
            return false
        }
        var tally = Manifest.Tally()
        let extents = (previous.size + UInt64(extentSize) - 1) / UInt64(extentSize)
        tally.unread = .init(count: extents, bytes: previous.size)
        takenOver.append(
            Manifest.StoredFile(
                path: source.path, kind: source.kind, size: previous.size, attributes: source.attributes,
                map: previous.map, database: previous.database, log: previous.log, tally: tally,
                identity: previous.identity, reading: Reading.unchanged.rawValue))
        bytesDone += previous.size
        progress(Progress(item: source.path, bytesDone: bytesDone, bytesTotal: bytesTotal))
        return true
    }

    func finish() throws(VarveError) -> ([Manifest.StoredFile], Manifest.Statistics) {
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
