import VarveBlobs
import VarveFormat
import VarveRepository
import VarveStorage

extension RepositoryCopies {
    /// Which other copies have an object that is damaged or missing in one: read and compared with its name.
    ///
    /// Caches and records of one copy have no holders.
    package func holders(of object: ObjectName, but damaged: Repository) -> [String] {
        guard object.contentHash != nil, !object.kind.isCache, !object.kind.isRecord else { return [] }
        return online.compactMap { copy in
            guard let repository = copy.repository, repository.copy.copy != damaged.copy.copy,
                Self.isWhole(object, in: repository.storage)
            else { return nil }
            return copy.record.label
        }
    }

    private static func isWhole(_ object: ObjectName, in storage: any Storage) -> Bool {
        (try? NamedBytes.require(storage.open(object), object.contentHash)) != nil
    }
}
