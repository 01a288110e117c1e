import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

extension Repository {
    /// The newest snapshot with everything that it needs in packs whose last reading was good and not before `seconds`.
    ///
    /// Its packs are those that came before its manifest did: each is durable before, by its time in this copy. What damages
    /// a pack may have changed its time as well. So a pack that is bad, or was set aside, may be needed by every snapshot
    /// that was written before it was found so, unless the snapshot was decoded and found whole since. One that was
    /// written after a pack was set aside does without it. Clocks may have been wrong, so no manifest is taken to be older
    /// than one with a smaller number, and a time that has not been yet tells nothing.
    package func newestVerified(
        since seconds: Int64, _ snapshots: [SnapshotReference], now: Timestamp = Clock.now()
    ) throws(VarveError) -> SnapshotReference? {
        let ledger = try ledger(now: now)
        let inventory = try Inventory(self, ledger: ledger)
        // When it was written, and so which snapshots need it, nobody knows.
        guard inventory.missing.allSatisfy({ $0.isSetAside || $0.object?.kind != .pack }) else { return nil }
        let names = Set(inventory.missing.filter(\.isSetAside).compactMap(\.object))
        let lost = try storage.lost(.pack).filter { names.contains($0.object) }
        var packs = PackReadings(ledger, oldest: seconds, now: now)
        try storage.forEachPack { (pack) throws(VarveError) in
            let object = ObjectName(.pack, pack)
            if let status = try storage.status(of: object) { packs.note(object, status) }
        }
        var newest: SnapshotReference?
        var latest = Timestamp(seconds: .min)
        for snapshot in snapshots {
            let object = ObjectName(.manifest, snapshot.name)
            guard let status = try storage.status(of: object) else { continue }
            let written = status.modified
            latest = max(latest, written)
            guard packs.isVerified(object, status), packs.unread.map({ latest < $0 }) ?? true else {
                continue
            }
            let proof = ledger.lastProof(of: snapshot)
            func isProven(since moment: Timestamp) -> Bool { proof.map { $0 >= moment } ?? false }
            if let bad = packs.bad, !isProven(since: bad) { continue }
            let needsLost = lost.contains { pack in
                let isLater = !written.isFuture(at: now) && written > pack.setAside
                return !isLater && !isProven(since: pack.setAside)
            }
            if !needsLost { newest = snapshot }
        }
        return newest
    }
}

/// What the last readings of a copy's packs mean for its snapshots.
private struct PackReadings {
    private let ledger: Ledger
    private let oldest: Int64
    private let now: Timestamp
    /// The first time at which a pack was there that was not read well since; nil if all were.
    private(set) var unread: Timestamp?
    /// When a pack was found bad last; nil if none is.
    private(set) var bad: Timestamp?

    init(_ ledger: Ledger, oldest: Int64, now: Timestamp) {
        self.ledger = ledger
        self.oldest = oldest
        self.now = now
    }

    private func rows(_ object: ObjectName, _ status: ObjectStatus) -> [LedgerRow] {
        ledger.rows(of: ListedObject(object: object, size: status.size, changed: status.changed))
    }

    /// The file that is there was read well, and not too long ago.
    func isVerified(_ object: ObjectName, _ status: ObjectStatus) -> Bool {
        let rows = rows(object, status)
        guard let time = rows.first?.time else { return false }
        return time.seconds >= oldest && rows.allSatisfy { $0.result == .good }
    }

    mutating func note(_ pack: ObjectName, _ status: ObjectStatus) {
        if isVerified(pack, status) { return }
        if let found = rows(pack, status).first(where: { $0.result != .good }) {
            bad = max(bad ?? found.time, found.time)
            return
        }
        // What was read before has changed since, and perhaps its time with it.
        let isChanged = rows(pack, status).isEmpty && ledger.lastReading(of: pack) != nil
        let isUnknown = isChanged || status.modified.isFuture(at: now)
        let written = isUnknown ? Timestamp(seconds: .min) : status.modified
        unread = min(unread ?? written, written)
    }
}
