import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

extension RepositoryCopies {
    /// Copies that are away because their `varve.json` is damaged, but that say in `copy.json` who they are: it is the
    /// same for all copies, and written anew.
    ///
    /// - Returns: their labels; open the copies again then.
    package func healIdentities() throws -> [String] {
        var mended: [String] = []
        for copy in copies where copy.repository == nil && copy.absence?.code == .corrupt {
            let path = copy.record.path
            guard
                let own = try? ChecksummedDocument.read(
                    CopyDescription.self, from: Path.join(path, CopyDescription.fileName)),
                own.copy == copy.record.copy, own.repository == lead.id.description
            else { continue }
            let file = Path.join(path, RepositoryDescription.fileName)
            if (try? ChecksummedDocument.read(RepositoryDescription.self, from: file)) != nil { continue }
            try DirectoryStorage(path).setAside(file: RepositoryDescription.fileName)
            try ChecksummedDocument.write(lead.description, to: file)
            mended.append(copy.record.label)
        }
        return mended
    }
}
