import VarveFiles
import VarveFormat
import VarveStorage

/// What one wants to know at three in the morning: which copies there are and how good they are, and to which moment
/// each source can be restored from how many of them. Reads names, receipts and ledgers, and no pack.
public struct RepositoryStatus: Codable, Sendable {
    public struct Copy: Codable, Sendable {
        public var copy: String
        public var label: String
        public var role: String
        public var path: String
        public var present: Bool
        /// Why it is away.
        public var absence: String?
        /// Which of the documents are damaged that say who it is: it is away for that, or they are there twice.
        public var damagedDocuments: [String]
        /// When it was heard of last; for one that is away.
        public var lastSeen: Timestamp?
        public var detached: Timestamp?
        public var synchronized: Timestamp?
        /// Packs and manifests that it lacks of those of the copy that was named.
        public var lacking: Int?
        public var snapshots: UInt64
        public var newestSnapshot: String?
        /// Everything up to this one was read well from the medium within the time that the policy allows.
        public var verifiedSnapshot: String?
        /// Of the file system, in bytes; nil if it is away.
        public var free: UInt64?
        public var capacity: UInt64?
        public var health: MediaHealth?
    }

    public struct Source: Codable, Sendable {
        public var host: String
        /// Nil for what is no environment.
        public var home: String?
        /// The newest whole one, or the newest partial one if there is no whole one.
        public var newest: SnapshotFacts
        /// The newest whole one that at least `minimumCopies` verified copies hold; nil if there is none.
        public var newestVerified: SnapshotFacts?
    }

    public struct SnapshotFacts: Codable, Sendable {
        public var snapshot: String
        /// The moment to which it restores.
        public var restoresTo: Timestamp
        /// Seconds since then.
        public var age: Int64
        /// Labels of copies that have it, and of those that were read since.
        public var copies: [String]
        public var verifiedCopies: [String]
        public var tainted: Bool
        /// It holds only some of the environment's databases, and satisfies no policy.
        public var partial: Bool
    }

    /// What must hold for all to be well.
    public struct Policy: Codable, Sendable {
        /// Seconds; nil: any age.
        public var maximumAge: Int64?
        public var minimumCopies = 1
        /// Seconds within which a copy must have been read.
        public var readWithin: Int64 = 30 * 86400
        public init() {}
    }

    public var repository: String
    public var time: Timestamp
    public var policy: Policy
    public var copies: [Copy]
    public var sources: [Source]
    /// What is against the policy, or damaged, one sentence each; empty if all is well.
    public var problems: [String]

    public init(_ copies: RepositoryCopies, policy: Policy = .init(), now: Timestamp = Clock.now()) throws {
        repository = copies.lead.id.description
        time = now
        self.policy = policy
        let holdings = try copies.copies.map { try Holding($0, policy, now) }
        self.copies = holdings.map(\.copy)
        let summaries = try copies.lead.manifests.summaries()
        sources = Self.sources(summaries, holdings, policy, now)
        problems = Self.problems(self.copies, sources, policy)
    }

    /// What is known of the snapshots on one copy.
    private struct Holding {
        var copy: Copy
        /// Names; nil if it is away.
        var names: Set<SnapshotReference>?
        var newest: SnapshotReference?
        var verified: SnapshotReference?
        private var ledger: Ledger?

        /// It was decoded there, and found whole.
        func proves(_ snapshot: SnapshotReference) -> Bool { ledger?.isProven(snapshot) ?? false }

        init(_ known: RepositoryCopies.Copy, _ policy: Policy, _ now: Timestamp) throws {
            let record = known.record
            newest = record.newestSnapshot.flatMap { SnapshotReference(name: $0) }
            copy = Copy(
                copy: record.copy, label: record.label, role: record.role,
                path: known.repository?.path ?? record.path, present: known.isThere,
                absence: known.absence.map { "\($0)" },
                damagedDocuments: known.repository?.identityDamage.map(\.object)
                    ?? (known.absence?.code == .corrupt ? ["varve.json or copy.json"] : []),
                lastSeen: known.isThere ? nil : record.written,
                detached: record.detached, synchronized: record.synchronized, lacking: known.lacking,
                snapshots: record.snapshots, newestSnapshot: newest?.description)
            let limit = now.seconds - policy.readWithin
            if let repository = known.repository {
                let list = try repository.manifests.list()
                (names, newest) = (Set(list), list.last)
                ledger = try repository.ledger()
                verified = try repository.newestVerified(since: limit, list)
                copy.snapshots = UInt64(list.count)
                copy.newestSnapshot = newest?.description
                copy.health = try repository.mediaHealth(within: policy.readWithin, now: now)
                copy.free = FileSystemType.availableBytes(repository.path)
                copy.capacity = FileSystemType.capacityBytes(repository.path)
            } else if record.written.seconds >= limit {
                verified = record.verifiedSnapshot.flatMap { SnapshotReference(name: $0) }
            }
            copy.verifiedSnapshot = verified?.description
        }

        /// Of one that is away the receipt counts: what is older than its newest snapshot is there.
        func has(_ snapshot: SnapshotReference) -> Bool {
            names?.contains(snapshot) ?? newest.map { snapshot <= $0 } ?? false
        }

        func hasVerified(_ snapshot: SnapshotReference) -> Bool {
            has(snapshot) && verified.map { snapshot <= $0 } ?? false
        }
    }

    private static func sources(
        _ summaries: [SnapshotSummary], _ holdings: [Holding], _ policy: Policy, _ now: Timestamp
    ) -> [Source] {
        struct Key: Hashable {
            var host: String
            var home: String?
        }
        var bySource: [Key: [SnapshotSummary]] = [:]
        for summary in summaries {
            bySource[Key(host: summary.host, home: summary.home), default: []].append(summary)
        }
        return bySource.map { key, snapshots in
            let whole = snapshots.filter { !$0.isPartial }
            let facts = (whole.isEmpty ? snapshots : whole).reversed().lazy.map { summary in
                let moment = summary.recoverableTo ?? summary.finished
                return SnapshotFacts(
                    snapshot: summary.reference.description, restoresTo: moment,
                    age: now.seconds - moment.seconds,
                    copies: holdings.filter { $0.has(summary.reference) }.map(\.copy.label),
                    verifiedCopies: holdings.filter { $0.hasVerified(summary.reference) }.map(\.copy.label),
                    tainted: summary.isTainted && !holdings.contains { $0.proves(summary.reference) },
                    partial: summary.isPartial)
            }
            return Source(
                host: key.host, home: key.home, newest: facts.first!,
                newestVerified: facts.first {
                    !$0.partial && $0.verifiedCopies.count >= policy.minimumCopies
                })
        }.sorted { ($0.host, $0.home ?? "") < ($1.host, $1.home ?? "") }
    }

    private static func objects(_ count: Int, _ kind: String = "") -> String {
        "\(count) \(kind)\(count == 1 ? "object" : "objects")"
    }

    private static func problems(_ copies: [Copy], _ sources: [Source], _ policy: Policy) -> [String] {
        var problems: [String] = []
        for copy in copies {
            let damaged = Set(copy.health?.damage.map(\.object) ?? []).count
            if damaged > 0 {
                problems.append(
                    "'\(copy.label)' has \(objects(damaged, "damaged ")): run 'varve heal'"
                )
            }
            if let missing = copy.health?.missing, !missing.isEmpty {
                problems.append(
                    "'\(copy.label)' misses \(objects(missing.count)) that it had: run 'varve heal'")
            }
            for directory in copy.health?.missingDirectories ?? [] {
                problems.append("\(directory) of '\(copy.label)' is missing: run 'varve heal'")
            }
            if let uncovered = copy.health?.uncovered, uncovered > 0 {
                problems.append(
                    "'\(copy.label)' has \(objects(uncovered)) under no parity: run 'varve heal'")
            }
            if let lost = copy.health?.lost, !lost.isEmpty {
                problems.append(
                    "'\(copy.label)' has lost \(objects(lost.count)): 'varve verify --content' names what needs them; they "
                        + "are in quarantine/ until somebody removes them")
            }
            for document in copy.damagedDocuments {
                problems.append("\(document) of '\(copy.label)' is damaged: run 'varve heal'")
            }
            if let drill = copy.health?.lastDrill, !drill.isGood {
                problems.append("the last drill of '\(copy.label)' failed (\(drill.started))")
            }
            if copy.present, let lacking = copy.lacking, lacking > 0 {
                problems.append(
                    "'\(copy.label)' lags behind by \(objects(lacking)): run 'varve copy sync'"
                )
            }
        }
        if sources.isEmpty { problems.append("there is no snapshot yet") }
        for source in sources {
            let name = "\(source.host):\(source.home ?? "-")"
            if source.newest.partial {
                problems.append(
                    "\(name): no snapshot holds the whole environment, only partial ones ('varve backup --only')"
                )
                continue
            }
            guard let verified = source.newestVerified else {
                problems.append(
                    "\(name): no snapshot is on \(policy.minimumCopies) verified copies: run 'varve verify --media' on "
                        + "each")
                continue
            }
            if let limit = policy.maximumAge, verified.age > limit {
                problems.append(
                    "\(name): the newest snapshot on \(policy.minimumCopies) verified copies, \(verified.snapshot), "
                        + "restores to \(verified.restoresTo), more than \(limit) s ago")
            }
        }
        return problems
    }
}

extension Repository {
    /// The newest snapshot with everything that it needs in packs whose last reading was good and not before `seconds`.
    /// Its packs are those that came before its manifest did: each is durable before, by its time in this copy. A pack
    /// that is lost was needed by snapshots from its time on until it was set aside: later ones do without it.
    func newestVerified(since seconds: Int64, _ snapshots: [SnapshotReference]) throws -> SnapshotReference? {
        let ledger = try ledger()
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
        var limit: Timestamp?
        try storage.forEachPack { pack in
            let object = ObjectName(.pack, pack)
            guard let status = try storage.status(of: object), !isVerified(object, status) else {
                return
            }
            limit = min(limit ?? status.modified, status.modified)
        }
        return try snapshots.last { snapshot in
            let object = ObjectName(.manifest, snapshot.name)
            guard let status = try storage.status(of: object), isVerified(object, status)
            else { return false }
            let written = status.modified
            if let limit, written >= limit { return false }
            return !lost.contains { $0.written <= written && written <= $0.setAside }
        }
    }
}
