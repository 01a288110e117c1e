import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveUpkeep

/// What one wants to know at three in the morning: which copies there are and how good they are, and to which moment
/// each source can be restored from how many of them. Reads names, records and ledgers, and no pack.
package struct RepositoryStatus: Encodable, Sendable {
    package struct CopyStatus: Encodable, Sendable {
        package var copy: String
        package var label: String
        package var role: String
        package var path: String
        package var present: Bool
        /// Why it is away.
        package var absence: String?
        /// What a person has to look at: something else is in its place, or it is there and may not be written to.
        package var trouble: String?
        /// Which of the documents are damaged that say who it is: it is away for that, or they are there twice.
        package var damagedDocuments: [String]
        /// The named copy's record of it was lost: what is known is from when it was added or moved.
        package var recordLost: Bool
        /// When it was heard of last; for one that is away.
        package var lastSeen: Timestamp?
        package var detached: Timestamp?
        package var synchronized: Timestamp?
        /// Packs and manifests that it lacks of those of the copy that was named.
        package var lacking: Int?
        package var snapshots: UInt64
        package var newestSnapshot: String?
        /// Everything up to this one was read well from the medium within the time that the policy allows.
        package var verifiedSnapshot: String?
        /// Of the file system, in bytes; nil if it is away.
        package var free: UInt64?
        package var capacity: UInt64?
        package var health: MediaHealth?
    }

    package struct Source: Codable, Sendable {
        package var name: String
        /// It is not backed up any more, and so nothing is against the policy.
        package var archived: Bool
        /// Where the newest snapshot was taken.
        package var host: String
        /// Nil for what is no environment.
        package var home: String?
        /// The newest whole one, or the newest partial one if there is no whole one.
        package var newest: SnapshotFacts
        /// Newer than `newestVerified`, or all there are, and they restore to a moment that has not been yet.
        package var future: [String]
        /// The newest whole one that at least `minimumCopies` verified copies hold; nil if there is none.
        package var newestVerified: SnapshotFacts?
    }

    package struct SnapshotFacts: Codable, Sendable {
        package var snapshot: String
        /// The moment to which it restores.
        package var restoresTo: Timestamp
        /// Seconds since then; negative for a moment that has not been yet.
        package var age: Int64
        /// Labels of copies that have it, and of those that were read since.
        package var copies: [String]
        package var verifiedCopies: [String]
        package var tainted: Bool
        /// It holds only some of the environment's databases, and satisfies no policy.
        package var partial: Bool
    }

    /// What must hold for all to be well.
    package struct Policy: Codable, Sendable {
        /// Seconds; nil: any age.
        package var maximumAge: Int64?
        package var minimumCopies = 1
        /// Seconds within which a copy must have been read.
        package var readWithin: Int64 = 30 * 86400
        /// Only these sources are looked at; nil: all.
        package var sources: [String]?
        package init() {}
    }

    package var repository: String
    package var time: Timestamp
    package var policy: Policy
    package var copies: [CopyStatus]
    package var sources: [Source]
    /// What is against the policy, or damaged, one sentence each; empty if all is well.
    package var problems: [String]

    package init(_ copies: RepositoryCopies, policy: Policy = .init(), now: Timestamp = Clock.now())
        throws(VarveError)
    {
        repository = copies.named.id.description
        time = now
        self.policy = policy
        let holdings = try copies.copies.map { (copy) throws(VarveError) in try Holding(copy, policy, now) }
        self.copies = holdings.map(\.copy)
        if copies.namedLacks > 0 { self.copies[0].lacking = copies.namedLacks }
        let list = try copies.named.sources()
        sources = try Self.sources(list, holdings, policy, now)
        problems = Self.problems(self.copies, sources, policy)
        problems += list.unknown.map {
            "the manifest of snapshot \($0) can't be read, so its source is not known: run 'varve verify'"
        }
    }

    /// What is known of the snapshots on one copy.
    private struct Holding {
        var copy: CopyStatus
        /// Names; nil if it is away.
        var names: Set<SnapshotReference>?
        var newest: SnapshotReference?
        var verified: SnapshotReference?
        private var ledger: Ledger?

        /// It was decoded there, and found whole.
        func proves(_ snapshot: SnapshotReference) -> Bool { ledger?.isProven(snapshot) ?? false }

        init(_ known: RepositoryCopy, _ policy: Policy, _ now: Timestamp) throws(VarveError) {
            let record = known.record
            newest = record.newestSnapshot.flatMap { SnapshotReference(name: $0) }
            copy = CopyStatus(
                copy: record.copy, label: record.label, role: record.role,
                path: known.repository?.path ?? record.path, present: known.isThere,
                absence: known.absence.map { "\($0)" }, trouble: known.trouble.map { "\($0)" },
                damagedDocuments: known.repository?.damagedIdentityDocuments
                    ?? (known.absence?.code == .corrupt ? ["varve.json or copy.json"] : []),
                recordLost: known.isRecordLost, lastSeen: known.isThere ? nil : record.written,
                detached: record.detached, synchronized: record.synchronized, lacking: known.lacking,
                snapshots: record.snapshots, newestSnapshot: newest?.description)
            let limit = now.seconds - policy.readWithin
            if let repository = known.repository {
                let list = try RepositoryCopies.names(repository, .manifest).compactMap {
                    SnapshotReference(name: $0)
                }.sorted()
                (names, newest) = (Set(list), list.last)
                ledger = try repository.ledger(now: now)
                verified = try repository.newestVerified(since: limit, list, now: now)
                copy.snapshots = UInt64(list.count)
                copy.newestSnapshot = newest?.description
                copy.health = try repository.mediaHealth(within: policy.readWithin, now: now)
                copy.damagedDocuments = copy.health?.documents.map { "\($0)" } ?? copy.damagedDocuments
                copy.free = FileSystemType.availableBytes(repository.path)
                copy.capacity = FileSystemType.capacityBytes(repository.path)
            } else if record.written.seconds >= limit, !record.written.isFuture(at: now) {
                verified = record.verifiedSnapshot.flatMap { SnapshotReference(name: $0) }
            }
            copy.verifiedSnapshot = verified?.description
        }

        /// Of one that is away the record counts: what is older than its newest snapshot is there.
        func has(_ snapshot: SnapshotReference) -> Bool {
            names?.contains(snapshot) ?? newest.map { snapshot <= $0 } ?? false
        }

        func hasVerified(_ snapshot: SnapshotReference) -> Bool {
            has(snapshot) && verified.map { snapshot <= $0 } ?? false
        }
    }

    private static func sources(
        _ list: SourceList, _ holdings: [Holding], _ policy: Policy, _ now: Timestamp
    ) throws(VarveError) -> [Source] {
        let wanted = policy.sources.map { Set($0.map(list.catalog.current)) }
        let groups = list.groups
        if let unknown = wanted?.subtracting(groups.map { $0.name }).sorted().first {
            throw VarveError(
                .missing, "there is no source '\(unknown)'",
                hint: "the sources are: " + groups.map { "'\($0.name)'" }.joined(separator: ", "))
        }
        return groups.filter { wanted?.contains($0.name) ?? true }.map { group in
            let whole = group.snapshots.filter { !$0.isPartial }
            let facts = (whole.isEmpty ? group.snapshots : whole).reversed().lazy.map {
                summary -> SnapshotFacts in
                let moment = summary.recoverableTo ?? summary.finished
                return SnapshotFacts(
                    snapshot: summary.reference.description, restoresTo: moment,
                    age: now.seconds - moment.seconds,
                    copies: holdings.filter { $0.has(summary.reference) }.map(\.copy.label),
                    verifiedCopies: holdings.filter { $0.hasVerified(summary.reference) }.map(\.copy.label),
                    tainted: summary.isTainted && !holdings.contains { $0.proves(summary.reference) },
                    partial: summary.isPartial)
            }
            // By number, newest first: what a clock said orders nothing, and the future is no moment to restore to.
            var future: [String] = []
            var verified: SnapshotFacts?
            for fact in facts {
                if fact.restoresTo.isFuture(at: now) {
                    future.append(fact.snapshot)
                } else if !fact.partial && fact.verifiedCopies.count >= policy.minimumCopies {
                    verified = fact
                    break
                }
            }
            let newest = group.snapshots[group.snapshots.count - 1]
            return Source(
                name: group.name, archived: list.isArchived(group), host: newest.host, home: newest.home,
                newest: facts.first!, future: future, newestVerified: verified)
        }
    }

    private static func objects(_ count: Int, _ kind: String = "") -> String {
        "\(count) \(kind)\(count == 1 ? "object" : "objects")"
    }

    private static func problems(_ copies: [CopyStatus], _ sources: [Source], _ policy: Policy) -> [String] {
        var problems: [String] = []
        for copy in copies {
            if let trouble = copy.trouble, copy.damagedDocuments.isEmpty {
                problems.append("'\(copy.label)': \(trouble)")
            }
            if copy.recordLost {
                problems.append(
                    "the record of '\(copy.label)' (copies/\(copy.copy).json of the named copy) is lost: what is known of it is "
                        + "old; the next backup writes the record again")
            }
            if let ahead = copy.health?.readAhead {
                problems.append(
                    "'\(copy.label)': \(objects(ahead)) were read at a moment in the future, so this is ignored: "
                        + "a clock was or is wrong; correct the clock, then run 'varve verify --media'")
            }
            let damaged = Set(copy.health?.damage.map(\.object) ?? []).count
            if damaged > 0 {
                problems.append(
                    "'\(copy.label)' has \(objects(damaged, "damaged ")): run 'varve heal'"
                )
            }
            if let missing = copy.health?.missing, !missing.isEmpty {
                let first = copy.lacking.map { $0 > 0 } ?? false ? "'varve copy sync', then " : ""
                problems.append(
                    "'\(copy.label)' lacks \(objects(missing.count)) that it should hold: run \(first)'varve heal'"
                )
            }
            for directory in copy.health?.missingDirectories ?? [] {
                problems.append("\(directory) of '\(copy.label)' is missing: run 'varve heal'")
            }
            if let uncovered = copy.health?.uncovered, uncovered > 0 {
                problems.append(
                    "'\(copy.label)' has \(objects(uncovered)) not under parity: run 'varve heal'")
            }
            if let lost = copy.health?.lost, !lost.isEmpty {
                problems.append(
                    "'\(copy.label)' has lost \(objects(lost.count)): 'varve verify --content' names what needs them; they "
                        + "are in quarantine/ until somebody removes them")
            }
            for document in copy.damagedDocuments {
                let command = document == ParityDescription.fileName ? "parity add PERCENT" : "heal"
                problems.append(
                    "\(document) of '\(copy.label)' is damaged or missing: run 'varve \(command)'")
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
        for source in sources where !source.archived {
            if source.newest.partial {
                problems.append(
                    "\(source.name): no snapshot holds the whole environment, only partial ones ('varve backup --only')"
                )
                continue
            }
            if !source.future.isEmpty {
                problems.append(
                    "\(source.name): \(source.future.joined(separator: ", ")) restores to a moment in the future, "
                        + "and is ignored: a clock was or is wrong; correct the clock, then back up again")
            }
            guard let verified = source.newestVerified else {
                problems.append(
                    "\(source.name): no snapshot is verified on \(policy.minimumCopies) "
                        + "\(policy.minimumCopies == 1 ? "copy" : "copies"): run 'varve verify --media' on each"
                )
                continue
            }
            if let limit = policy.maximumAge, verified.age > limit {
                problems.append(
                    "\(source.name): the newest snapshot that is verified on \(policy.minimumCopies) "
                        + "\(policy.minimumCopies == 1 ? "copy" : "copies"), \(verified.snapshot), restores to "
                        + "\(verified.restoresTo), more than \(limit) s ago: "
                        + (source.newest.snapshot == verified.snapshot
                            ? "back up, or run 'varve source archive' if this source is not backed up any more"
                            : "\(source.newest.snapshot) is newer and not verified: run 'varve verify --media'")
                )
            }
        }
        return problems
    }
}
