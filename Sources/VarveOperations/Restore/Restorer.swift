import VarveBlobs
import VarveCopies
import VarveDatabase
import VarveFiles
import VarveFormat
import VarveRepository

/// Carries out restore plans.
///
/// Everything is written beside the target, in a directory that says so by its name, and takes the target's name only
/// when all of it is there, recovered if that is asked for, and durable. An interrupted restore leaves that directory;
/// the next one clears it away.
package final class Restorer {
    private let repository: Repository
    /// Read from where the repository's own copy is damaged.
    package let others: OtherCopies?
    private let cancellation: Cancellation
    private let progress: @Sendable (Progress) -> Void

    /// Catastrophic recovery of what is restored, and verification of every database.
    package struct RecoveryOptions: Sendable {
        package var password: [UInt8]?

        package init(password: [UInt8]?) { self.password = password }
    }

    package struct Report: Sendable {
        /// Nil if no recovery was asked for.
        package var recovery: RecoveryReport?
        /// Why `db_recover -c` does not recover what was restored; nil: it does.
        package var plainRecoveryFails: String?
        /// What the reader should know of the restore itself.
        package var notes: [String] = []
    }

    package init(
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
    package func plan(
        _ reference: SnapshotReference, target: String, options: RestorePlan.Options = .init()
    ) throws(VarveError) -> RestorePlan {
        let manifest = try repository.withoutOutlivedTaint(try readManifest(reference), reference)
        var options = options
        if options.absoluteTarget == nil { options.absoluteTarget = try StagingDirectory.absolute(target) }
        return try RestorePlan(
            manifest, reference: reference, target: target, configuration: try configuration(of: manifest),
            options: options)
    }

    private func readManifest(_ reference: SnapshotReference) throws(VarveError) -> Manifest {
        do {
            return try repository.manifests.read(reference)
        } catch {
            if let manifest = others?.readManifest(reference) { return manifest }
            throw error
        }
    }

    private func configuration(of manifest: Manifest) throws(VarveError) -> [UInt8]? {
        // By its path: what kind of file it is, the manifest only says.
        guard let file = manifest.files.first(where: { $0.path == "DB_CONFIG" }) else { return nil }
        let reader = BlobReader(
            index: try repository.openIndex(), storage: repository.storage, others: others)
        guard file.size <= UInt64(DatabaseConfiguration.maximumByteCount) else {
            throw VarveError(.corrupt, "\(file.path) of the snapshot has \(file.size) bytes")
        }
        var map = try ExtentMapReader(file, reader: reader)
        var bytes: [UInt8] = []
        while let extent = try map.next() { bytes += try reader.read(extent.id, .data) }
        return bytes
    }

    /// - Parameters:
    ///   - recovery: nil: the files are restored as they were stored.
    ///   - owner: of what goes outside of the target; nil: the environment's, but never root.
    ///   - inspect: called with the restored files before recovery.
    /// - Throws: `.invalid` if the target is neither empty nor absent; `.refused` where there is too little room, and
    ///   as recovery does. The target is not there then.
    @discardableResult
    package func restore(
        _ plan: RestorePlan, recovery: RecoveryOptions? = nil, owner: (user: UInt32, group: UInt32)? = nil,
        inspect: (RootDirectory) throws(VarveError) -> Void = { _ in }
    ) throws(VarveError) -> Report {
        let (staging, outside) = try examine(plan, recovery, owner)
        let directory = try staging.prepare()
        do {
            return try fill(directory, staging, outside, plan, recovery, inspect)
        } catch var error where error.code == .interrupted && error.hint == nil {
            if try directory.status(of: StagingDirectory.tree) != nil {
                let left = Path.join(staging.path, StagingDirectory.tree)
                error.hint = "what was restored so far is in \(left) until the next restore to this target"
            }
            throw error
        }
    }

    private func fill(
        _ directory: RootDirectory, _ staging: StagingDirectory, _ outside: OutsideDirectories,
        _ plan: RestorePlan, _ recovery: RecoveryOptions?,
        _ inspect: (RootDirectory) throws(VarveError) -> Void
    ) throws(VarveError) -> Report {
        let tree = try directory.directory(StagingDirectory.tree)
        try write(plan, to: tree)
        try finishDirectories(plan, tree)
        try inspect(tree)
        var result = Report()
        var isConfigured = false
        if let recovery {
            do {
                result.recovery = try RestoredRecovery(
                    plan, password: recovery.password, cancellation: cancellation
                ).run(in: directory, tree: StagingDirectory.tree) { () throws(VarveError) in
                    try writeConfiguration(plan, tree)
                    isConfigured = true
                }
            } catch var error {
                let left =
                    "the restored files, not recovered, are in \(Path.join(staging.path, StagingDirectory.tree))"
                error.hint =
                    (error.hint.map { $0 + "; " } ?? "") + left + " until the next restore to this target"
                throw error
            }
        }
        if recovery == nil, plan.recovery != nil, let logs = plan.environment?.logDirectory.restored {
            result.plainRecoveryFails = try plainRecoveryFails(plan, tree.directory(logs))
        }
        if !isConfigured { try writeConfiguration(plan, tree) }
        try outside.publish(from: tree, cancellation)
        if let left = try staging.publish(cancellation) { result.notes.append(left) }
        return result
    }

    /// What `restore` makes sure of before it writes anything, for one that will not follow: nothing is changed.
    package func check(
        _ plan: RestorePlan, recovery: RecoveryOptions? = nil, owner: (user: UInt32, group: UInt32)? = nil
    ) throws(VarveError) {
        _ = try examine(plan, recovery, owner, isDry: true)
    }

    private func examine(
        _ plan: RestorePlan, _ recovery: RecoveryOptions?, _ owner: (user: UInt32, group: UInt32)?,
        isDry: Bool = false
    ) throws(VarveError) -> (StagingDirectory, OutsideDirectories) {
        if let recovery { try RestoredRecovery.requirePossible(plan, password: recovery.password) }
        let staging = try StagingDirectory(
            target: plan.target, files: plan.files, directories: plan.directories.map(\.path), isDry: isDry)
        try staging.requireRoom()
        let outside = try OutsideDirectories(plan, owner: owner)
        try outside.examine(isDry: isDry)
        return (staging, outside)
    }

    /// By the logs themselves; what they say is no reason not to restore them.
    private func plainRecoveryFails(_ plan: RestorePlan, _ directory: RootDirectory) throws(VarveError)
        -> String?
    {
        do {
            let logs = try RestoredLogs(in: directory, plan.files.compactMap { $0.log?.number }, cancellation)
            return plan.plainRecoveryFails(logs.names)
        } catch let error where error.code != .interrupted {
            return "its logs can't be read: \(error)"
        }
    }

    /// The original stays beside it.
    private func writeConfiguration(_ plan: RestorePlan, _ tree: RootDirectory) throws(VarveError) {
        guard let text = plan.configuration else { return }
        let name = "DB_CONFIG"
        var attributes = try tree.status().attributes
        attributes.mode = 0o644
        if let there = try tree.status(of: name) {
            attributes = there.attributes
            try tree.rename(name, to: name + ".before-restore")
        }
        let file = try tree.create(name)
        try Array(text.utf8).withBytes { (bytes) throws(VarveError) in try file.write(bytes) }
        try file.apply(attributes)
        try file.sync()
        try tree.sync()
    }

    private func write(_ plan: RestorePlan, to tree: RootDirectory) throws(VarveError) {
        var made: Set<String> = ["."]
        func make(_ directory: String) throws(VarveError) {
            guard made.insert(directory).inserted else { return }
            try make(Path.parent(directory))
            try tree.makeDirectory(directory)
        }
        for directory in plan.directories { try make(directory.path) }
        let writers = try RestoreWriters(
            index: try repository.openIndex(), storage: repository.storage, others: others,
            cancellation: cancellation)
        defer { writers.close() }
        var done: UInt64 = 0
        for file in plan.files {
            try cancellation.check()
            try make(Path.parent(file.path))
            let before = done
            try writers.write(file, in: tree) { [progress] bytes in
                progress(Progress(item: file.path, bytesDone: before + bytes, bytesTotal: plan.totalBytes))
            }
            done += file.size
        }
    }

    /// Attributes last, children before parents: writing into a directory changes its times.
    private func finishDirectories(_ plan: RestorePlan, _ tree: RootDirectory) throws(VarveError) {
        var others = Set(plan.files.map { Path.parent($0.path) } + ["."])
        for directory in plan.directories.reversed() {
            let opened = try tree.directory(directory.path)
            try opened.apply(directory.attributes)
            try opened.sync()
            others.remove(directory.path)
        }
        for path in others { try tree.directory(path).sync() }
    }
}

extension File {
    /// Mode, times and, as root, the owner. The set-id bits are dropped: nothing a database needs.
    borrowing func apply(_ attributes: Manifest.Attributes) throws(VarveError) {
        if Host.isRoot { try setOwner(user: attributes.user, group: attributes.group) }
        try setMode(attributes.mode & 0o1777)
        try setModified(attributes.modified)
    }
}

extension RootDirectory {
    /// The same of the directory itself; but who makes files in a set-group-ID directory gives them its group, which is
    /// how users share a repository.
    func apply(_ attributes: Manifest.Attributes) throws(VarveError) {
        if Host.isRoot { try setOwner(user: attributes.user, group: attributes.group) }
        try setMode(attributes.mode & 0o3777)
        try setModified(attributes.modified)
    }
}
