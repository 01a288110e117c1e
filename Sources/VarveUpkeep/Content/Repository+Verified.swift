import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

extension Repository {
    /// The newest snapshot with everything that it needs in packs whose last reading was good and not before `seconds`.
    ///
    /// Its packs are those that came before its manifest did: each is durable before, by its time in this copy. A pack
    /// that is lost was needed by snapshots from its time on until it was set aside: later ones do without it. Clocks may
    /// have been wrong, so no manifest is taken to be older than one with a smaller number, and a time that has not been
    /// yet tells nothing.
    package func newestVerified(
        since seconds: Int64, _ snapshots: [SnapshotReference], now: Timestamp = Clock.now()
    ) throws -> SnapshotReference? {
        let ledger = try ledger(now: now)
        func isVerified(_ object: ObjectName, _ status: FileStatus) -> Bool {
            let rows = ledger.rows(
                of: ListedObject(object: object, size: status.size, changed: status.changed))
            guard let time = rows.first?.time else { return false }
            return time.seconds >= seconds && rows.allSatisfy { $0.result == .good }
        }
        let inventory = try Inventory(self, ledger: ledger)
        let names = Set(inventory.missing.filter(\.isSetAside).compactMap(\.object))
        let lost = try storage.lost(.pack).filter { names.contains($0.object) }
        // When it was written, and so which snapshots need it, nobody knows.
        guard inventory.missing.allSatisfy({ $0.isSetAside || $0.object?.kind != .pack }) else { return nil }
        let always = Timestamp(seconds: .min)
        var limit: Timestamp?
        try storage.forEachPack { pack in
            let object = ObjectName(.pack, pack)
            guard let status = try storage.status(of: object), !isVerified(object, status) else {
                return
            }
            let written = status.modified.isFuture(at: now) ? always : status.modified
            limit = min(limit ?? written, written)
        }
        var newest: SnapshotReference?
        var latest = always
        for snapshot in snapshots {
            let object = ObjectName(.manifest, snapshot.name)
            guard let status = try storage.status(of: object) else { continue }
            let written = status.modified
            latest = max(latest, written)
            guard isVerified(object, status), limit.map({ latest < $0 }) ?? true else { continue }
            let needsLost = lost.contains { pack in
                if pack.setAside < pack.written { return true }
                let isLater = !written.isFuture(at: now) && written > pack.setAside
                return pack.written <= latest && !isLater
            }
            if !needsLost { newest = snapshot }
        }
        return newest
    }
}
