import VarveDatabase
import VarveFiles
import VarveFormat
import VarveRepository

/// Carries out restore plans.
///
/// Everything is written beside the target, in a directory that says so by its name, and takes the target's name only
/// when all of it is there and durable. An interrupted restore leaves that directory; the next one clears it away.
public final class Restorer {
    private let repository: Repository
    /// Read from where the repository's own copy is damaged.
    public let others: OtherCopies?
    private let cancellation: Cancellation
    private let progress: @Sendable (Progress) -> Void

    public init(
        repository: Repository, copies: RepositoryCopies? = nil, cancellation: Cancellation = Cancellation(),
        progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        self.repository = repository
        others = copies.flatMap { OtherCopies($0) }
        self.cancellation = cancellation
        self.progress = progress
    }

    /// Reads the snapshot's manifest and its `DB_CONFIG` and decides what a restore does.
    ///
    /// - Throws: as `RestorePlan.init`.
    public func plan(
        _ reference: SnapshotReference, target: String, options: RestorePlan.Options = .init()
    ) throws -> RestorePlan {
        let manifest = try repository.withoutOutlivedTaint(try readManifest(reference), reference)
        return try RestorePlan(
            manifest, reference: reference, target: target, configuration: try foreignNames(in: manifest),
            options: options)
    }

    private func readManifest(_ reference: SnapshotReference) throws -> Manifest {
        do {
            return try repository.manifests.read(reference)
        } catch {
            if let manifest = others?.readManifest(reference) { return manifest }
            throw error
        }
    }

    private func foreignNames(in manifest: Manifest) throws -> [String] {
        let configurations = manifest.files.filter {
            $0.kind == .configuration && Path.name($0.path) == "DB_CONFIG"
        }
        guard !configurations.isEmpty else { return [] }
        let reader = BlobReader(
            index: try repository.openIndex(), storage: repository.storage, others: others)
        return try configurations.flatMap { file in
            guard file.size <= UInt64(DatabaseConfiguration.maximumByteCount) else {
                throw VarveError(.corrupt, "\(file.path) of the snapshot has \(file.size) bytes")
            }
            var map = try ExtentMapReader(file, reader: reader)
            var bytes: [UInt8] = []
            while let extent = try map.next() { bytes += try reader.read(extent.id, .data) }
            let configuration = bytes.withUnsafeBytes { DatabaseConfiguration(parsing: $0) }
            // `../data` leads from a copy beside the home to the live files.
            // And what libdb may read otherwise than we do could be such a name.
            return configuration.absoluteNames + configuration.climbingNames
                + configuration.problems.map { "what is wrong in DB_CONFIG: \($0)" }
        }
    }

    /// - Throws: `.invalid` if the target is neither empty nor absent.
    public func restore(_ plan: RestorePlan) throws {
        let staging = try StagingDirectory(target: plan.target)
        try staging.prepare()
        let root = staging.path
        for directory in plan.directories where directory.path != "." {
            try Directory.createAll(Path.join(root, directory.path))
        }
        let writers = RestoreWriters(
            index: try repository.openIndex(), storage: repository.storage, others: others,
            cancellation: cancellation)
        defer { writers.close() }
        var done: UInt64 = 0
        for file in plan.files {
            try cancellation.check()
            try Directory.createAll(Path.parent(Path.join(root, file.path)))
            let before = done
            try writers.write(file, to: Path.join(root, file.path)) { [progress] bytes in
                progress(Progress(item: file.path, bytesDone: before + bytes, bytesTotal: plan.totalBytes))
            }
            done += file.size
        }
        try finishDirectories(plan, root)
        try staging.publish()
    }

    /// Attributes last, children before parents: writing into a directory changes its times.
    private func finishDirectories(_ plan: RestorePlan, _ root: String) throws {
        for directory in plan.directories.reversed() {
            let path = Path.join(root, directory.path)
            let file = try File.open(reading: path, followLinks: false)
            try file.apply(directory.attributes)
            try file.sync()
        }
        for file in plan.files { try Directory.sync(Path.parent(Path.join(root, file.path))) }
        try Directory.sync(root)
    }
}

extension File {
    /// Mode, times and, as root, the owner. The set-id bits are dropped: nothing a database needs.
    borrowing func apply(_ attributes: Manifest.Attributes) throws {
        if Host.isRoot { try setOwner(user: attributes.user, group: attributes.group) }
        try setMode(attributes.mode & 0o1777)
        try setModified(attributes.modified)
    }
}
