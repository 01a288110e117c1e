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
    package init(_ path: String) throws(VarveError) { try self.init(DirectoryStorage(RootDirectory(path))) }

    init(_ storage: any CopyStorage) throws(VarveError) {
        let path = storage.location
        func read<Value: Codable>(_ type: Value.Type, _ name: String) -> Result<Value, VarveError> {
            Result { () throws(VarveError) in try ChecksummedDocument.read(type, from: name, in: storage) }
        }
        let description = read(RepositoryDescription.self, RepositoryDescription.fileName)
        let copy = read(CopyDescription.self, CopyDescription.fileName)
        // Earlier versions made none.
        let both: Result<RepositoryIdentity, VarveError>?
        do {
            both = try ChecksummedDocument.readIfThere(
                RepositoryIdentity.self, from: RepositoryIdentity.fileName, in: storage
            ).map { .success($0) }
        } catch {
            both = .failure(error)
        }
        let second = try? both?.get()
        var damage: [Finding] = []
        func outlived<Value: Equatable>(
            _ result: Result<Value, VarveError>, _ name: String, _ second: Value?
        ) throws(VarveError) -> Value {
            do {
                return try result.get()
            } catch let error where error.code == .corrupt || error.errno == EIO {
                guard let second else { throw error }
                damage.append(Finding(.document(name), error.message))
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
        case .failure(let error)?:
            damage.append(Finding(.document(RepositoryIdentity.fileName), error.message))
        case .success(let second)? where second != found:
            damage.append(
                Finding(
                    .document(RepositoryIdentity.fileName), "it is not what varve.json and copy.json are"))
        default: break
        }
        identity = found
        self.damage = damage
    }

    /// A directory that lost its `varve.json` is still a repository.
    static func holdsSnapshots(_ path: String) throws(VarveError) -> Bool {
        try holdsSnapshots(DirectoryStorage(RootDirectory(path)))
    }

    static func holdsSnapshots(_ storage: any CopyStorage) throws(VarveError) -> Bool {
        do {
            return try !storage.list(.manifest).isEmpty
        } catch let error where error.code == .missing || error.isOfAnotherKind {
            return false
        }
    }
}

extension Repository {
    /// For a repository of an earlier version.
    ///
    /// - Precondition: the caller has the lock.
    func keepIdentityTwice() throws(VarveError) {
        guard try !storage.holds(document: RepositoryIdentity.fileName) else { return }
        try ChecksummedDocument.write(
            RepositoryIdentity(description: description, copy: copy), to: RepositoryIdentity.fileName,
            in: storage)
    }

    /// Their names.
    package var damagedIdentityDocuments: [String] {
        identityDamage.compactMap { if case .document(let name) = $0.place { name } else { nil } }
    }

    /// Writes anew which of the three documents are damaged; those go to `quarantine/`.
    ///
    /// - Precondition: the caller has the lock.
    /// - Returns: their names.
    package func healIdentity() throws(VarveError) -> [String] {
        let names = damagedIdentityDocuments
        for name in names {
            try storage.setAside(document: name)
            switch name {
            case RepositoryDescription.fileName:
                try ChecksummedDocument.write(description, to: name, in: storage)
            case CopyDescription.fileName: try ChecksummedDocument.write(copy, to: name, in: storage)
            default:
                try ChecksummedDocument.write(
                    RepositoryIdentity(description: description, copy: copy), to: name, in: storage)
            }
        }
        return names
    }
}
