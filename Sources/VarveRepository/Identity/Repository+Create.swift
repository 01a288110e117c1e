import VarveFiles
import VarveFormat
import VarveStorage

extension Repository {
    /// Makes a new repository in a directory that is empty or absent, with further copies in other such directories.
    ///
    /// It is there, with all of its copies, when the first one's `varve.json` is. Until then nothing is a repository at
    /// `path`, and the same call again ends what was begun.
    ///
    /// - Parameters:
    ///   - parity: of the first copy, in percent; nil for none.
    ///   - copies: directories for further copies.
    ///   - add: makes one of them, of the first copy.
    /// - Throws: `.invalid`, before anything is written, if a directory is not empty or is named twice.
    package static func create(
        at path: String, parameters: RepositoryDescription.Parameters = .init(), label: String = "primary",
        parity: Int? = nil, copies: [String],
        add: (_ first: Repository, _ path: String) throws(VarveError) -> Void
    ) throws(VarveError) -> Repository {
        try check(parameters)
        if let parity { try ParityDescription.check(parity) }
        try requireApart([path] + copies)
        let begun = try unfinished(path)
        let isSame = begun.map { $0.description.parameters == parameters } ?? false
        let id = isSame ? begun?.id : nil
        try requireRoom(at: path, for: nil)
        for copy in copies { try requireRoom(at: copy, for: id) }
        let new = id ?? RepositoryID(Host.randomBytes(RepositoryID.byteCount))
        let description =
            isSame
            ? begun!.description
            : RepositoryDescription(repository: new, created: Clock.now(), parameters: parameters)
        let first = try prepare(
            at: path, description, new, label: label, role: "primary", parity: parity,
            copy: isSame ? begun?.copyID : nil)
        for copy in copies { try add(first, copy) }
        return try finish(first)
    }

    /// Makes a new repository of one copy.
    package static func create(
        at path: String, parameters: RepositoryDescription.Parameters = .init(), label: String = "primary",
        parity: Int? = nil
    ) throws(VarveError) -> Repository {
        try create(at: path, parameters: parameters, label: label, parity: parity, copies: []) { _, _ in }
    }

    /// Makes a further copy, still without any object, in a directory that is empty or absent.
    package func createCopy(at path: String, label: String, role: String) throws(VarveError) -> Repository {
        try Self.requireRoom(at: path, for: nil)
        return try Self.finish(try Self.prepare(at: path, description, id, label: label, role: role))
    }

    /// Everything but `varve.json`.
    private static func prepare(
        at path: String, _ description: RepositoryDescription, _ id: RepositoryID, label: String,
        role: String, parity: Int? = nil, copy known: RepositoryID? = nil
    ) throws(VarveError) -> Repository {
        // Its parent was there (`requireRoom`): where it has gone meanwhile, this is an error.
        if try FileStatus.of(path)?.kind != .directory {
            try Directory.create(path)
            try Directory.sync(Path.parent(path))
        }
        try DirectoryStorage.create(at: path)
        let root = try RootDirectory(path)
        for name in try root.names() where name.hasSuffix(".tmp") { try root.unlink(name) }
        let storage = DirectoryStorage(root)
        let copy = CopyDescription(
            repository: id, copy: known ?? RepositoryID(Host.randomBytes(RepositoryID.byteCount)),
            label: label, role: role)
        try ChecksummedDocument.write(copy, to: CopyDescription.fileName, in: storage)
        try ChecksummedDocument.write(
            RepositoryIdentity(description: description, copy: copy), to: RepositoryIdentity.fileName,
            in: storage)
        if let parity {
            try ChecksummedDocument.write(
                ParityDescription(repository: id, percent: parity), to: ParityDescription.fileName,
                in: storage)
        } else {
            // Of an `init --parity` that was cut off; this one keeps none.
            try storage.removeDocument(ParityDescription.fileName)
        }
        return try Repository(storage, try IdentityDocuments(storage))
    }

    /// With it the directory is a repository.
    private static func finish(_ prepared: Repository) throws(VarveError) -> Repository {
        try ChecksummedDocument.write(
            prepared.description, to: RepositoryDescription.fileName, in: prepared.storage)
        return try open(prepared.path)
    }

    /// As far as the path is there, without symbolic links.
    private static func resolved(_ path: String) -> String {
        if let there = try? Path.resolve(path) { return there }
        let parent = Path.parent(path)
        return parent == path ? path : Path.join(resolved(parent), Path.name(path))
    }

    /// No directory twice, and none within another.
    private static func requireApart(_ paths: [String]) throws(VarveError) {
        let all = paths.map(resolved)
        for (index, path) in all.enumerated() {
            for other in all[..<index] {
                guard path == other || path.hasPrefix(other + "/") || other.hasPrefix(path + "/") else {
                    continue
                }
                throw VarveError(
                    .invalid,
                    path == other
                        ? "\(path) is named twice" : "of \(other) and \(path) one lies in the other",
                    hint:
                        "each copy has a directory of its own, best on a disk of its own. Nothing was written"
                )
            }
        }
    }

    /// - Parameter id: a copy of this repository may be there, of an `init` that was cut off; nil: none may.
    private static func requireRoom(at path: String, for id: RepositoryID?) throws(VarveError) {
        try requireMounted(path)
        guard let status = try FileStatus.of(path) else {
            // Only the last directory is made: what else is missing may be the mount point of a disk that is away, and the
            // repository would lie on the disk beneath.
            let parent = Path.parent(path)
            guard try FileStatus.of(parent)?.kind == .directory else {
                throw VarveError(
                    .invalid, "\(parent), where \(path) should be made, is not a directory",
                    hint: "mount its disk, or make that directory first (mkdir -p). Nothing was written")
            }
            return
        }
        guard status.kind == .directory else {
            throw VarveError(
                .invalid, "\(path) is not a directory", hint: "choose a path that does not exist yet")
        }
        let names = try Directory.list(path).filter { !SystemLeftovers.contains($0) }
        if names.contains(RepositoryDescription.fileName) {
            if let id, let there = try? open(path), there.id == id { return }
            throw VarveError(
                .invalid, "\(path) is a repository already",
                hint: "use it as it is, or choose another path. Nothing was written")
        }
        if !names.isEmpty, try !isUnfinished(path, names) {
            throw VarveError(
                .invalid, "\(path) is not empty (it holds \(names[0]))",
                hint: "choose an empty or new directory. Nothing was written")
        }
    }

    /// That the disk is there on which `/etc/fstab` says the path lies.
    private static func requireMounted(_ path: String) throws(VarveError) {
        guard let place = try MountTable.system().unmounted(above: resolved(path)) else { return }
        throw VarveError(
            .invalid,
            "\(path) lies on the file system of \(place) by /etc/fstab, and nothing is mounted there",
            hint: "mount it first ('mount \(place)'). Nothing was written")
    }

    /// What an `init` that was cut off had begun to make; nil if there is none.
    private static func unfinished(_ path: String) throws(VarveError) -> Repository? {
        guard try FileStatus.of(path)?.kind == .directory else { return nil }
        let storage = DirectoryStorage(try RootDirectory(path))
        guard try !storage.holds(document: RepositoryDescription.fileName),
            try !IdentityDocuments.holdsSnapshots(storage)
        else { return nil }
        return (try? IdentityDocuments(storage)).flatMap { try? Repository(storage, $0) }
    }

    /// What an `init` that was killed leaves: its directories, but not yet `varve.json`; and no snapshot.
    static func isUnfinished(_ path: String, _ names: [String]) throws(VarveError) -> Bool {
        if try IdentityDocuments.holdsSnapshots(path) { return false }
        let documents = [
            CopyDescription.fileName, RepositoryIdentity.fileName, ParityDescription.fileName,
            CopyList.fileName,
        ]
        let ours = Set(
            ObjectKind.allCases.map(\.rawValue) + ["quarantine", "tmp", CopyRecord.directory] + documents)
        return names.allSatisfy { ours.contains($0) || $0.hasSuffix(".tmp") }
    }

    private static func check(_ parameters: RepositoryDescription.Parameters) throws(VarveError) {
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
            throw VarveError(
                .invalid, "compression level must be 1 to 19, not \(parameters.compressionLevel)")
        }
    }
}
