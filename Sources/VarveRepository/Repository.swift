import VarveFiles
import VarveFormat
import VarveStorage

/// A repository in a directory: opening one checks which it is, and writes nothing.
public final class Repository: Sendable {
    public let path: String
    public let id: RepositoryID
    public let description: RepositoryDescription
    public let copy: CopyDescription
    public let storage: DirectoryStorage
    public let manifests: ManifestStore
    /// What is wrong with the documents that say who this is, and was outlived: `varve heal` mends it.
    public let identityDamage: [Finding]

    private init(_ root: RootDirectory, _ documents: IdentityDocuments) throws {
        let path = root.path
        description = documents.identity.description
        copy = documents.identity.copy
        identityDamage = documents.damage
        guard let id = RepositoryID(hex: description.repository) else {
            throw VarveError(.corrupt, "varve.json names no repository", location: path)
        }
        self.path = path
        self.id = id
        storage = DirectoryStorage(root)
        manifests = ManifestStore(storage: storage, repository: id)
    }

    /// The same directory, with its documents as they are now.
    func reopened() throws -> Repository {
        let root = try storage.root()
        return try Repository(root, IdentityDocuments(root))
    }

    /// Makes a new repository in a directory that is empty or absent.
    ///
    /// - Parameter parity: in percent; nil for none.
    public static func create(
        at path: String, parameters: RepositoryDescription.Parameters = .init(), label: String = "primary",
        parity: Int? = nil
    ) throws -> Repository {
        try check(parameters)
        if let parity { try ParityDescription.check(parity) }
        let id = RepositoryID(Host.randomBytes(RepositoryID.byteCount))
        let description = RepositoryDescription(repository: id, created: Clock.now(), parameters: parameters)
        return try create(at: path, description, id, label: label, role: "primary", parity: parity)
    }

    /// Makes a further copy, still without any object, in a directory that is empty or absent.
    func createCopy(at path: String, label: String, role: String) throws -> Repository {
        try Self.create(at: path, description, id, label: label, role: role)
    }

    private static func create(
        at path: String, _ description: RepositoryDescription, _ id: RepositoryID, label: String,
        role: String,
        parity: Int? = nil
    ) throws -> Repository {
        try makeRoom(at: path)
        try DirectoryStorage.create(at: path)
        let copy = CopyDescription(
            repository: id, copy: RepositoryID(Host.randomBytes(RepositoryID.byteCount)), label: label,
            role: role)
        let root = try RootDirectory(path)
        try SealedDocument.write(copy, to: CopyDescription.fileName, in: root)
        try SealedDocument.write(
            RepositoryIdentity(description: description, copy: copy), to: RepositoryIdentity.fileName,
            in: root)
        if let parity {
            try SealedDocument.write(
                ParityDescription(repository: id, percent: parity), to: ParityDescription.fileName, in: root)
        }
        // Last: with it the directory is a repository.
        try SealedDocument.write(description, to: RepositoryDescription.fileName, in: root)
        return try open(path)
    }

    private static func makeRoom(at path: String) throws {
        if let status = try FileStatus.of(path) {
            guard status.kind == .directory else {
                throw VarveError(
                    .invalid, "\(path) is not a directory", hint: "choose a path that does not exist yet")
            }
            let names = try Directory.list(path).filter { !SystemLeftovers.contains($0) }
            if names.contains(RepositoryDescription.fileName) {
                throw VarveError(
                    .invalid, "\(path) is a repository already",
                    hint: "use it as it is, or choose another path")
            }
            guard try names.isEmpty || isUnfinished(path, names) else {
                throw VarveError(
                    .invalid, "\(path) is not empty (it holds \(names[0]))",
                    hint: "choose an empty or new directory")
            }
        } else {
            try Directory.createAll(path)
        }
    }

    /// What an `init` that was killed leaves: its directories, but not yet `varve.json`; and no snapshot.
    private static func isUnfinished(_ path: String, _ names: [String]) throws -> Bool {
        if try IdentityDocuments.holdsSnapshots(path) { return false }
        let documents = [CopyDescription.fileName, RepositoryIdentity.fileName, ParityDescription.fileName]
        let ours = Set(
            ObjectKind.allCases.map(\.rawValue) + ["quarantine", "tmp", CopyRecord.directory] + documents)
        return names.allSatisfy { ours.contains($0) || $0.hasSuffix(".tmp") }
    }

    private static func check(_ parameters: RepositoryDescription.Parameters) throws {
        let extent = Int(parameters.extentSize)
        guard extent >= 64 << 10, extent <= 1 << 20, extent.nonzeroBitCount == 1 else {
            throw VarveError(
                .invalid, "an extent of \(extent) bytes can't be: a power of two from 64 KiB to 1 MiB can")
        }
        let pack = Int(parameters.packSize)
        guard pack >= 1 << 20, pack <= 256 << 20 else {
            throw VarveError(.invalid, "a pack of \(pack) bytes can't be: 1 MiB to 256 MiB can")
        }
        guard (1...19).contains(parameters.compressionLevel) else {
            throw VarveError(.invalid, "zstd has no level \(parameters.compressionLevel): 1 to 19 can be")
        }
    }

    public static func open(_ path: String) throws -> Repository {
        let root: RootDirectory
        do {
            root = try RootDirectory(path)
        } catch let error as VarveError where error.isNoEntry {
            throw try notThere(path)
        }
        let name = RepositoryDescription.fileName
        guard try root.status(of: name) != nil || IdentityDocuments.holdsSnapshots(root) else {
            throw try notThere(path)
        }
        let documents = try IdentityDocuments(root)
        let description = documents.identity.description
        guard description.format == RepositoryDescription.currentFormat else {
            throw VarveError(
                .unsupported,
                "\(path) is a repository of format \(description.format); this varve knows "
                    + "\(RepositoryDescription.currentFormat)", hint: "use a newer varve")
        }
        try checkStored(description.parameters, Path.join(path, name))
        return try Repository(root, documents)
    }

    /// Wider than what `create` offers, and narrow enough that no writer divides by zero or runs out of memory.
    private static func checkStored(_ parameters: RepositoryDescription.Parameters, _ file: String) throws {
        let extent = Int(parameters.extentSize)
        guard extent >= 512, extent <= Pack.maximumBlobLength, extent.nonzeroBitCount == 1,
            parameters.packSize <= 256 << 20, (1...19).contains(parameters.compressionLevel)
        else {
            throw VarveError(
                .corrupt, "varve.json holds parameters that can't be", location: file,
                hint: "restore it from another copy of the repository")
        }
    }

    private static func notThere(_ path: String) throws -> VarveError {
        guard let status = try FileStatus.of(path) else {
            return VarveError(
                .noRepository, "there is no repository at \(path): no such directory",
                hint: "check the path, or make a repository with 'varve init -r \(path)'")
        }
        guard status.kind == .directory else {
            return VarveError(.noRepository, "there is no repository at \(path): it is not a directory")
        }
        let names = try Directory.list(path).filter { !SystemLeftovers.contains($0) }
        return names.isEmpty
            ? VarveError(
                .noRepository, "there is no repository at \(path): the directory is empty",
                hint: "is its disk mounted? An empty mount point looks just like this. Nothing was written")
            : VarveError(
                .noRepository, "there is no repository at \(path): no varve.json in it",
                hint: "check the path; the directory holds \(names.prefix(3).joined(separator: ", "))")
    }

    /// - Parameter isWriter: the caller holds the repository's lock, so the index may write.
    public func openIndex(isWriter: Bool = false) throws -> RepositoryIndex {
        try RepositoryIndex(storage: storage, repository: id, isWriter: isWriter)
    }

    /// The snapshot that `text` means: `latest`, a sequence number, or `12-1f2e…` with any number of digits.
    public func find(_ text: String) throws -> SnapshotReference {
        let all = try manifests.list()
        let matches: [SnapshotReference]
        if text == "latest" {
            matches = latest(of: all).map { [$0] } ?? []
        } else {
            let parts = text.split(separator: "-", maxSplits: 1)
            matches = all.filter {
                parts.first.flatMap { UInt64($0) } == $0.sequence
                    && (parts.count < 2 || $0.hash.hex.hasPrefix(parts[1]))
            }
        }
        if matches.count == 1 { return matches[0] }
        if all.isEmpty {
            throw VarveError(.missing, "\(path) holds no snapshot yet", hint: "make one with 'varve backup'")
        }
        throw VarveError(
            .missing,
            matches.isEmpty ? "there is no snapshot \(text) in \(path)" : "\(text) means several snapshots",
            hint: "'varve snapshots' lists them; the newest is \(all[all.count - 1])")
    }
}
