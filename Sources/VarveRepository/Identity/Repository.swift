import VarveBlobs
import VarveFiles
import VarveFormat
import VarveStorage

/// A repository in a directory: opening one checks which it is, and writes nothing.
package final class Repository: Sendable {
    package let path: String
    package let id: RepositoryID
    package let description: RepositoryDescription
    package let copy: CopyDescription
    package let storage: any CopyStorage
    package let manifests: ManifestStore
    /// What is wrong with the documents that say who this is, and was outlived: `varve heal` mends it.
    package let identityDamage: [Finding]

    init(_ storage: any CopyStorage, _ documents: IdentityDocuments) throws(VarveError) {
        let path = storage.location
        description = documents.identity.description
        copy = documents.identity.copy
        identityDamage = documents.damage
        guard let id = RepositoryID(hex: description.repository) else {
            throw VarveError(.corrupt, "varve.json names no repository", location: path)
        }
        self.path = path
        self.id = id
        self.storage = storage
        manifests = ManifestStore(storage: storage, repository: id)
    }

    /// Which copy of the repository this directory is.
    package var copyID: RepositoryID {
        // `copy.json` has a checksum: what it holds was written by us. One of another writer is a copy of its own.
        RepositoryID(hex: copy.copy) ?? RepositoryID([UInt8](repeating: 0, count: RepositoryID.byteCount))
    }

    /// The same directory, with its documents as they are now.
    package func reopened() throws(VarveError) -> Repository {
        try Repository(storage, IdentityDocuments(storage))
    }

    package static func open(_ path: String) throws(VarveError) -> Repository {
        let storage: DirectoryStorage
        do {
            storage = DirectoryStorage(try RootDirectory(path))
        } catch let error where error.isNoEntry {
            throw try notThere(path)
        }
        let name = RepositoryDescription.fileName
        if try !storage.holds(document: name), try !IdentityDocuments.holdsSnapshots(storage) {
            throw try notThere(path)
        }
        let documents = try IdentityDocuments(storage)
        let description = documents.identity.description
        guard description.format == RepositoryDescription.currentFormat else {
            throw VarveError(
                .unsupported,
                "\(path) is a repository of format \(description.format); this varve knows "
                    + "\(RepositoryDescription.currentFormat)", hint: "use a newer varve")
        }
        try checkStored(description.parameters, Path.join(path, name))
        return try Repository(storage, documents)
    }

    /// Wider than what `create` offers, and narrow enough that no writer divides by zero or runs out of memory.
    private static func checkStored(_ parameters: RepositoryDescription.Parameters, _ file: String)
        throws(VarveError)
    {
        let extent = Int(parameters.extentSize)
        guard extent >= 512, extent <= Pack.maximumBlobLength, extent.nonzeroBitCount == 1,
            parameters.packSize <= 256 << 20, (1...19).contains(parameters.compressionLevel)
        else {
            throw VarveError(
                .corrupt, "varve.json holds invalid parameters", location: file,
                hint: "run 'varve heal -r PATH' with the path of a good copy")
        }
    }

    private static func notThere(_ path: String) throws(VarveError) -> VarveError {
        guard let status = try FileStatus.of(path) else {
            return VarveError(
                .noRepository, "there is no repository at \(path): no such directory",
                hint: "mount its disk, or name another copy with -r; only if there never was a repository, "
                    + "run 'varve init -r \(path)'")
        }
        guard status.kind == .directory else {
            return VarveError(.noRepository, "there is no repository at \(path): it is not a directory")
        }
        let names = try Directory.list(path).filter { !SystemLeftovers.contains($0) }
        let isBegun = try isUnfinished(path, names)
        return names.isEmpty
            ? VarveError(
                .noRepository, "there is no repository at \(path): the directory is empty",
                hint: "mount its disk: an empty mount point looks like this. Nothing was written")
            : VarveError(
                .noRepository,
                isBegun
                    ? "there is no repository at \(path): a 'varve init' was interrupted"
                    : "there is no repository at \(path): no varve.json in it",
                hint: isBegun
                    ? "run the same 'varve init' (or 'varve copy add') again"
                    : "check the path; the directory holds \(names.prefix(3).joined(separator: ", "))")
    }

    /// - Parameter isWriter: the caller holds the repository's lock, so the index may write.
    package func openIndex(isWriter: Bool = false) throws(VarveError) -> RepositoryIndex {
        try RepositoryIndex(storage: storage, repository: id, isWriter: isWriter)
    }
}
