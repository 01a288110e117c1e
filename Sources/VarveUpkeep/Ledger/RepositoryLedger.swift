import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

extension Repository {
    /// What is known of the readings of this copy.
    package func ledger(now: Timestamp = Clock.now()) throws(VarveError) -> Ledger {
        try Ledger(of: storage, repository: id, copy: copyID, device: Device.describe(path), now: now)
    }
}
