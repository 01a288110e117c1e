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
    public func ledger() throws -> Ledger {
        try Ledger(of: storage, repository: id, copy: copyID, device: Device.describe(path))
    }
}

extension ObjectName {
    /// `drills/<when, 14 digits>-<hash>`
    var isDrill: Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return kind == .drill && parts.count == 2 && parts[0].count == 14
            && parts[0].allSatisfy { $0 >= 48 && $0 <= 57 } && contentHash != nil
    }
}
