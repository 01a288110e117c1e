import VarveFiles
import VarveFormat
import VarveStorage

/// How sure one can be of a copy's medium, by its ledger.
public struct MediaHealth: Codable, Sendable {
    public struct Damage: Codable, Hashable, Sendable {
        /// `packs/<name>`
        public var object: String
        public var result: String
        public var time: Timestamp
        public var range: Range<UInt64>?
        public var device: String?
    }

    /// Of all objects that are there.
    public var bytes: UInt64 = 0
    /// Of these, read well within the time asked for.
    public var bytesRead: UInt64 = 0
    public var neverReadBytes: UInt64 = 0
    /// The reading that is the longest ago; nil if nothing was read yet.
    public var oldestReading: Timestamp?
    /// Objects whose last reading claims to be later than now, and counts for nothing.
    public var readAhead: Int?
    /// What the last reading of objects that are still there found bad.
    public var damage: [Damage] = []
    /// Objects that are gone, as something that is there tells: `packs/<name>`.
    public var missing: [String] = []
    /// Directories for objects that are gone, with whatever was in them.
    public var missingDirectories: [String] = []
    /// Documents of this copy, such as `parity.json`, that are damaged or missing.
    public var documents: [String] = []
    /// How many packs and manifests are under no parity, though this copy keeps it.
    public var uncovered = 0
    /// Packs and manifests that were set aside as damaged, and that nothing has taken the place of.
    public var lost: [String] = []
    /// The newest drill whose evidence can be read.
    public var lastDrill: DrillEvidence?
    /// What of the ledger is lost.
    public var losses: [String] = []

    /// 0 to 1; 1 for a copy without objects.
    public var share: Double { bytes == 0 ? 1 : Double(bytesRead) / Double(bytes) }
}

extension Repository {
    /// What is known of this copy's medium; reads the ledger and no object.
    ///
    /// - Parameter seconds: how recent a reading must be to count for `bytesRead`; 30 days unless told.
    public func mediaHealth(within seconds: Int64 = 30 * 86400, now: Timestamp = Clock.now()) throws
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
                    object: "\(listed.object)", result: "\($0.result)", time: $0.time, range: $0.bad,
                    device: $0.device)
            }
        }
        health.lost = inventory.missing.filter(\.isSetAside).map(\.path)
        health.missing = inventory.missing.filter { !$0.isSetAside }.map(\.path)
        health.missingDirectories = inventory.missingDirectories
        health.documents = inventory.documents.map(\.object)
        health.uncovered = inventory.uncovered.count
        let drills = try drills()
        // One in the future proves nothing, but that it failed.
        health.lastDrill =
            drills.last { !$0.started.isFuture(at: now) } ?? drills.last { !$0.isGood }
        return health
    }
}
