import VarveFiles
import VarveFormat
import VarveStorage

extension Repository {
    /// Which copy of the repository this directory is.
    public var copyID: RepositoryID {
        // `copy.json` has a seal: what it holds was written by us. One of another writer is a copy of its own.
        RepositoryID(hex: copy.copy) ?? RepositoryID([UInt8](repeating: 0, count: RepositoryID.byteCount))
    }

    /// What is known of the readings of this copy.
    public func ledger(now: Timestamp = Clock.now()) throws -> Ledger {
        try Ledger(of: storage, repository: id, copy: copyID, device: Device.describe(path), now: now)
    }
}
