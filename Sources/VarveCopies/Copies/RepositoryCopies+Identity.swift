import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

extension RepositoryCopies {
    /// Copies that are away because their `varve.json` is damaged, but that say in `copy.json` who they are: it is the
    /// same for all copies, and written anew.
    ///
    /// - Returns: their labels; open the copies again then.
    package func healIdentities() throws(VarveError) -> [String] {
        var healed: [String] = []
        for copy in copies where copy.repository == nil && copy.absence?.code == .corrupt {
            let name = RepositoryDescription.fileName
            guard let root = try? RootDirectory(copy.record.path) else { continue }
            let storage = DirectoryStorage(root)
            guard
                let own = try? ChecksummedDocument.read(
                    CopyDescription.self, from: CopyDescription.fileName, in: storage),
                own.copy == copy.record.copy, own.repository == named.id.description
            else { continue }
            if (try? ChecksummedDocument.read(RepositoryDescription.self, from: name, in: storage)) != nil {
                continue
            }
            try storage.setAside(document: name)
            try ChecksummedDocument.write(named.description, to: name, in: storage)
            healed.append(copy.record.label)
        }
        return healed
    }
}
