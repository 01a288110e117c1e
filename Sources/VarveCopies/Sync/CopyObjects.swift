import Glibc
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveUpkeep

/// The way of objects from one copy to another: hashed side by side as they are copied, and not there before their names
/// hold. As many at once as the hash kernel takes: their directories are made durable together.
struct CopyObjects {
    enum Arrival {
        case copied(bytes: UInt64, from: Repository)
        /// One of this name was there, and was left as it is.
        case wasThere
        case noSourceIsGood
    }

    /// Of each object, so many bytes are on their way.
    private static let pieceSize = 256 << 10

    private let target: RepositoryCopy
    private let repository: Repository
    private let sources: [Repository]
    /// What the target has under these names is damaged, and set aside when the good one is durable.
    private let replacing: Set<ObjectName>
    private let cancellation: Cancellation
    /// Hears of each source whose object is not what its name promises or can't be read.
    private let damaged: @Sendable (ObjectName, Repository, VarveError) -> Void

    init(
        to target: RepositoryCopy, from sources: [Repository], replacing: Set<ObjectName> = [],
        cancellation: Cancellation,
        damaged: @escaping @Sendable (ObjectName, Repository, VarveError) -> Void
    ) throws(VarveError) {
        self.target = target
        self.sources = sources
        self.replacing = replacing
        self.cancellation = cancellation
        self.damaged = damaged
        repository = try target.there()
    }

    /// Copies each object from the first of the sources that has it whole, several groups of objects at once; but
    /// manifests one group after another, as each names the one before it.
    ///
    /// - Parameter done: hears of each; what was copied is durable then.
    /// - Throws: what the target throws; of the objects that were under way nothing is there then.
    func copy(_ objects: [ObjectName], done: @escaping @Sendable (ObjectName, Arrival) -> Void)
        throws(VarveError)
    {
        let threads =
            objects.contains { $0.kind == .manifest || $0.kind == .event } ? 1 : ObjectWorkers.defaultThreads
        try ObjectWorkers.forEachGroup(objects, limit: Hasher.batchSize, threads: threads, cancellation) {
            (group) throws(VarveError) in
            var open = group
            for source in sources where !open.isEmpty {
                for (object, outcome) in try copy(open, from: source) {
                    done(object, outcome)
                    open.removeAll { $0 == object }
                }
            }
            for object in open { done(object, .noSourceIsGood) }
        }
    }

    private func copy(
        _ objects: [ObjectName], from source: Repository
    ) throws(VarveError) -> [(object: ObjectName, outcome: Arrival)] {
        var (copied, lost) = try stage(objects, from: source)
        if !lost.isEmpty {
            // A failed write-back loses the pages: write them again, to new files, once.
            let again = try stage(lost.map(\.object), from: source)
            if let failed = again.lost.first { throw failed.error }
            copied += again.copied
        }
        try target.identity?.check(repository.copy)
        let areNew = try repository.storage.publish(
            copied.map { ($0.object, $0.file) }, replacing: replacing)
        return zip(copied, areNew).map { transfer, isNew in
            (transfer.object, isNew ? .copied(bytes: UInt64(transfer.byteCount), from: source) : .wasThere)
        }
    }

    /// - Returns: what is durable, and has no name yet; and what the target's disk has lost.
    private func stage(
        _ objects: [ObjectName], from source: Repository
    ) throws(VarveError) -> (copied: [Transfer], lost: [(object: ObjectName, error: VarveError)]) {
        var transfers: [Transfer] = []
        for object in objects {
            try judging(object, source) { () throws(VarveError) in
                transfers.append(try Transfer(object, from: source, to: repository))
            }
        }
        guard !transfers.isEmpty else { return ([], []) }
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: transfers.count * Self.pieceSize, alignment: 4096)
        defer { memory.deallocate() }
        let names = Hasher.names(ofObjects: transfers.map { UInt64($0.byteCount) }, memory: memory) {
            (number, offset, piece) throws(VarveError) in
            if cancellation.isRequested { throw ObjectWorkers.interrupted }
            try transfers[number].pass(at: Int(offset), by: piece)
        }
        var copied: [Transfer] = []
        var lost: [(object: ObjectName, error: VarveError)] = []
        for (transfer, name) in zip(transfers, names) {
            do {
                try judging(transfer.object, source) { () throws(VarveError) in
                    try transfer.finish(name: try name.get(), source)
                    copied.append(transfer)
                }
            } catch let error where error.errno == EIO {
                lost.append((transfer.object, error))
            }
        }
        return (copied, lost)
    }

    /// A bad source is told of, and another is asked; a bad target throws.
    private func judging(_ object: ObjectName, _ source: Repository, _ body: () throws(VarveError) -> Void)
        throws(VarveError)
    {
        do {
            try body()
        } catch let error where error.code == SourceDamage.code {
            if let cause = error.cause as? VarveError, cause.code != .missing {
                damaged(object, source, cause)
            }
        }
    }
}

/// One object under way.
private struct Transfer {
    let object: ObjectName
    let file: any StagedObject
    private let source: any ByteSource
    /// When it was written first: what a snapshot needs is older than its manifest (`newestVerified`).
    private let written: Timestamp?
    var byteCount: Int { source.byteCount }

    init(_ object: ObjectName, from source: Repository, to target: Repository) throws(VarveError) {
        self.object = object
        let opened = try SourceDamage.blaming { () throws(VarveError) in try source.storage.open(object) }
        guard opened.byteCount <= Self.limit(object.kind) else {
            throw SourceDamage.error(
                VarveError(
                    .corrupt, "\(object) has \(opened.byteCount) bytes", location: source.path))
        }
        self.source = opened
        written =
            Notices.attempt(
                .remark, "\(source.path)/\(object)", "its time can't be read, so it counts as new"
            ) {
                try source.storage.status(of: object)?.modified
            } ?? nil
        file = try target.storage.stage()
    }

    func pass(at offset: Int, by buffer: UnsafeMutableRawBufferPointer) throws(VarveError) {
        try SourceDamage.blaming { () throws(VarveError) in try source.read(at: offset, into: buffer) }
        try file.append(UnsafeRawBufferPointer(buffer))
        file.startWriting(last: buffer.count)
    }

    func finish(name: ContentID, _ source: Repository) throws(VarveError) {
        guard name == object.contentHash else {
            throw SourceDamage.error(
                VarveError(
                    .corrupt, "\(object) is damaged: its bytes do not match its name", location: source.path,
                    hint: "run 'varve heal' to replace it from a good copy"))
        }
        try file.finish(modified: written)
    }

    private static func limit(_ kind: ObjectKind) -> Int {
        kind == .pack ? Pack.maximumLength : ManifestStore.maximumLength
    }
}

/// Tells a bad source from a bad target: an error whose cause is that of the source.
private enum SourceDamage {
    static let code = VarveError.Code(rawValue: "source")

    static func error(_ cause: VarveError) -> VarveError { VarveError(code, cause.message, cause: cause) }

    static func blaming<R>(_ body: () throws(VarveError) -> R) throws(VarveError) -> R {
        do {
            return try body()
        } catch {
            throw Self.error(error)
        }
    }
}
