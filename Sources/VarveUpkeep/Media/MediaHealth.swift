import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// How sure one can be of a copy's medium, by its ledger.
package struct MediaHealth: Encodable, Sendable {
    package struct Damage: Encodable, Hashable, Sendable {
        package var object: ObjectName
        package var result: String
        package var time: Timestamp
        package var range: Range<UInt64>?
        package var device: String?
    }

    /// Of all objects that are there.
    package var bytes: UInt64 = 0
    /// Of these, read well within the time asked for.
    package var bytesRead: UInt64 = 0
    package var neverReadBytes: UInt64 = 0
    /// The reading that is the longest ago; nil if nothing was read yet.
    package var oldestReading: Timestamp?
    /// Objects whose last reading claims to be later than now, and counts for nothing.
    package var readAhead: Int?
    /// What the last reading of objects that are still there found bad.
    package var damage: [Damage] = []
    /// Objects that are gone, as something that is there tells.
    package var missing: [Finding.Place] = []
    /// Directories for objects that are gone, with whatever was in them.
    package var missingDirectories: [Finding.Place] = []
    /// Documents of this copy, such as `parity.json`, that are damaged or missing.
    package var documents: [Finding.Place] = []
    /// How many packs and manifests are under no parity, though this copy keeps it.
    package var uncovered = 0
    /// Packs and manifests that were set aside as damaged, and that nothing has taken the place of.
    package var lost: [Finding.Place] = []
    /// The newest drill whose evidence can be read.
    package var lastDrill: DrillEvidence?
    /// What of the ledger is lost.
    package var losses: [String] = []

    /// 0 to 1; 1 for a copy without objects.
    package var share: Double { bytes == 0 ? 1 : Double(bytesRead) / Double(bytes) }
}

extension Repository {
    /// What is known of this copy's medium; reads the ledger and no object.
    ///
    /// - Parameter seconds: how recent a reading must be to count for `bytesRead`; 30 days unless told.
    package func mediaHealth(within seconds: Int64 = 30 * 86400, now: Timestamp = Clock.now())
        throws(VarveError)
        -> MediaHealth
    {
        let ledger = try ledger(now: now)
        let inventory = try Inventory(self, ledger: ledger)
        var health = MediaHealth()
        health.losses = ledger.losses
        let limit = Timestamp(seconds: now.seconds - seconds, nanoseconds: now.nanoseconds)
        for listed in inventory.objects {
            let size = listed.size
            health.bytes += size
            let rows = ledger.rows(of: listed)
            if listed.object.subject.map({ ledger.ahead[$0] != nil }) ?? false {
                health.readAhead = (health.readAhead ?? 0) + 1
            }
            guard let time = rows.first?.time else {
                health.neverReadBytes += size
                continue
            }
            health.oldestReading = min(health.oldestReading ?? time, time)
            if time >= limit, rows.allSatisfy({ $0.result == .good }) { health.bytesRead += size }
            health.damage += rows.filter { $0.result != .good }.map {
                MediaHealth.Damage(
                    object: listed.object, result: "\($0.result)", time: $0.time, range: $0.bad,
                    device: $0.device)
            }
        }
        health.lost = inventory.missing.filter(\.isSetAside).map(\.place)
        health.missing = inventory.missing.filter { !$0.isSetAside }.map(\.place)
        health.missingDirectories = inventory.missingDirectories.map { .directory($0) }
        health.documents = inventory.documents.map(\.place)
        health.uncovered = inventory.uncovered.count
        let drills = try drills()
        // One in the future proves nothing, but that it failed.
        health.lastDrill =
            drills.last { !$0.started.isFuture(at: now) } ?? drills.last { !$0.isGood }
        return health
    }
}
