import Glibc
import VarveFiles
import VarveFormat
import VarveStorage

/// `varve.json` and `copy.json`, which say who a directory is; where one is damaged, by `identity.json`, which has both.
package struct IdentityDocuments {
    package let identity: RepositoryIdentity
    /// Of the three files, those that are not as they should be.
    let damage: [Finding]

    /// - Throws: `.corrupt` if one is damaged and there is no second copy of it.
    package init(_ path: String) throws { try self.init(RootDirectory(path)) }

    init(_ root: RootDirectory) throws {
        let path = root.path
        func read<Value: Codable>(_ type: Value.Type, _ name: String) -> Result<Value, any Error> {
            Result { try ChecksummedDocument.read(type, from: name, in: root) }
        }
        let description = read(RepositoryDescription.self, RepositoryDescription.fileName)
        let copy = read(CopyDescription.self, CopyDescription.fileName)
        // Earlier versions made none.
        let hasBoth = try root.status(of: RepositoryIdentity.fileName) != nil
        let both = hasBoth ? read(RepositoryIdentity.self, RepositoryIdentity.fileName) : nil
        let second = try? both?.get()
        var damage: [Finding] = []
        func outlived<Value: Equatable>(
            _ result: Result<Value, any Error>, _ name: String, _ second: Value?
        ) throws -> Value {
            do {
                return try result.get()
            } catch let error as VarveError where error.code == .corrupt || error.errno == EIO {
                guard let second else { throw error }
                damage.append(Finding(object: name, problem: error.message))
                return second
            }
        }
        let found = RepositoryIdentity(
            description: try outlived(description, RepositoryDescription.fileName, second?.description),
            copy: try outlived(copy, CopyDescription.fileName, second?.copy))
        guard found.copy.repository == found.description.repository else {
            throw VarveError(
                .corrupt, "varve.json and copy.json do not name the same repository", location: path,
                hint: "one of them comes from another repository: bring back the one that belongs here")
        }
        switch both {
        case .failure(let error as VarveError)?:
            damage.append(Finding(object: RepositoryIdentity.fileName, problem: error.message))
        case .success(let second)? where second != found:
            damage.append(
                Finding(
                    object: RepositoryIdentity.fileName,
                    problem: "it is not what varve.json and copy.json are"))
        default: break
        }
        identity = found
        self.damage = damage
    }

    /// A directory that lost its `varve.json` is still a repository.
    static func holdsSnapshots(_ path: String) throws -> Bool { try holdsSnapshots(RootDirectory(path)) }

    static func holdsSnapshots(_ root: RootDirectory) throws -> Bool {
        let manifests = ObjectKind.manifest.rawValue
        guard try root.status(of: manifests)?.kind == .directory else { return false }
        return try root.names(in: manifests).contains { SnapshotReference(name: $0) != nil }
    }
}

extension Repository {
    /// For a repository of an earlier version.
    ///
    /// - Precondition: the caller has the lock.
    func keepIdentityTwice() throws {
        let root = try storage.root()
        guard try root.status(of: RepositoryIdentity.fileName) == nil else { return }
        try ChecksummedDocument.write(
            RepositoryIdentity(description: description, copy: copy), to: RepositoryIdentity.fileName,
            in: root)
    }

    /// Writes anew which of the three documents are damaged; those go to `quarantine/`.
    ///
    /// - Precondition: the caller has the lock.
    /// - Returns: their names.
    package func healIdentity() throws -> [String] {
        let names = identityDamage.map(\.object)
        for name in names {
            try storage.setAside(file: name)
            let root = try storage.root()
            switch name {
            case RepositoryDescription.fileName:
                try ChecksummedDocument.write(description, to: name, in: root)
            case CopyDescription.fileName: try ChecksummedDocument.write(copy, to: name, in: root)
            default:
                try ChecksummedDocument.write(
                    RepositoryIdentity(description: description, copy: copy), to: name, in: root)
            }
        }
        return names
    }
}
