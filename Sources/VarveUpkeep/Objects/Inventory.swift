import VarveBlobs
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// What is in a copy, what should be in it by everything there that names something else, and what of that is not there.
/// `verify`, `heal` and `status` all go by this, so that they say the same.
///
/// It takes names, and what is small: the lists of packs in index tables, of members in parity objects, summaries, the
/// copy's record and ledger. No pack and no manifest is read: what only manifests name, `SnapshotWalk` adds.
struct Inventory: Sendable {
    struct Missing: Sendable {
        /// An object, or the number of a snapshot.
        var place: Finding.Place
        /// It is in `quarantine/`.
        var isSetAside = false
        /// Who says that it should be there, as a part of a sentence.
        var witness: String

        /// Nil where no more than a number is known.
        var object: ObjectName? { place.object }
    }

    /// Objects that are there. Manifests before packs: a backup may be at work, and what a snapshot needs is there
    /// before its manifest.
    private(set) var objects: [ListedObject] = []
    /// Files and directories that no object is called like. They are nobody's loss.
    private(set) var strangers: [String] = []
    /// Sorted; manifests first, as they are what is missed by name.
    private(set) var missing: [Missing] = []
    /// Packs that are gone and that no snapshot needed when all were found whole last; one that came since may.
    private(set) var forgiven: [ObjectName] = []
    /// Places for objects that are gone, with whatever was in them.
    private(set) var missingDirectories: [ObjectDirectory] = []
    /// What is wrong with documents that say what this copy is.
    private(set) var documents: [Finding] = []
    /// Packs and manifests under no parity, of a copy that keeps it.
    private(set) var uncovered: [ObjectName] = []
    /// Parity objects that can't be read now: what they cover is not known.
    private(set) var unreadable: [Finding] = []

    static let kinds: [ObjectKind] = [.manifest, .event, .summary, .index, .filter, .parity, .drill, .pack]

    /// - Parameter ledger: of this copy; what a reading missed is missed until it is there again.
    init(_ repository: Repository, ledger: Ledger? = nil) throws(VarveError) {
        let storage = repository.storage
        // Before what is there is listed: what is named now was there before.
        var named = Named()
        try named.addPacks(of: repository.openIndex())
        let parity = try ParityGroup.load(storage, of: repository.id)
        named.addMembers(of: parity.groups)
        try named.addSnapshots(of: repository)
        let ledger = if let ledger { ledger } else { try repository.ledger() }
        named.addReadings(ledger)
        try named.addQuarantine(of: storage)
        forgiven = named.forgive(ledger)
        unreadable = parity.unreadable.map {
            Finding(.object(ObjectName(.parity, $0.name)), $0.error.message, kind: .unreadable)
        }
        missingDirectories = try storage.missingDirectories()
        documents = repository.identityDamage
        let percent = readParityDescription(repository, keepsParity: !parity.groups.isEmpty)
        try list(storage)
        compare(named, there: Set(objects.lazy.map(\.object)))
        if percent != nil, unreadable.isEmpty { compare(parity.groups) }
        // A writer that is at work brings under parity what it adds, when it has committed.
        if !uncovered.isEmpty, repository.storage.isLeased { uncovered = [] }
    }

    private mutating func readParityDescription(_ repository: Repository, keepsParity: Bool) -> Int? {
        do {
            let percent = try repository.parity()
            if percent == nil, keepsParity {
                documents.append(
                    Finding(
                        .document(ParityDescription.fileName),
                        "it is missing, although there is parity: new objects are not covered; run"
                            + " 'varve parity add PERCENT'", kind: .missing))
            }
            return percent
        } catch {
            var finding = Finding(.document(ParityDescription.fileName), error)
            if finding.kind == .damaged { finding.problem += "; 'varve parity add PERCENT' writes it anew" }
            documents.append(finding)
            return nil
        }
    }

    private mutating func list(_ storage: any CopyStorage) throws(VarveError) {
        for kind in Self.kinds where !missingDirectories.contains(ObjectDirectory(kind)) {
            let listing = try storage.listing(kind)
            strangers += listing.strangers
            for name in listing.objects {
                let object = ObjectName(kind, name)
                // A cache may have been merged into another meanwhile.
                guard let status = try storage.status(of: object) else { continue }
                objects.append(ListedObject(object: object, size: status.size, changed: status.changed))
            }
        }
    }

    private mutating func compare(_ named: Named, there: Set<ObjectName>) {
        missing = named.objects.filter { !there.contains($0.key) }.map { object, witness in
            Missing(
                place: .object(object), isSetAside: named.setAside.contains(object),
                witness: witness)
        }
        let known = Set(named.objects.keys.lazy.filter { $0.kind == .manifest }).union(
            there.lazy.filter { $0.kind == .manifest || $0.kind == .event })
        for numbers in SnapshotReference.gaps(in: known.compactMap { SnapshotReference(name: $0.name) }) {
            missing.append(
                Missing(
                    place: .number(numbers.lowerBound),
                    witness: numbers.count == 1
                        ? "no snapshot has this number"
                        : "no snapshots have the numbers to \(numbers.upperBound)"))
        }
        missing.sort {
            ($0.object?.kind == .pack ? 1 : 0, $0.place) < ($1.object?.kind == .pack ? 1 : 0, $1.place)
        }
    }

    private mutating func compare(_ groups: [ParityGroup]) {
        let covered = Set(groups.lazy.flatMap(\.members).map(\.identity))
        uncovered = objects.filter { listed in
            ParityMember(listed.object, size: listed.size).map { !covered.contains($0.identity) } ?? false
        }.map(\.object)
    }

    /// As findings, what is missing first.
    var findings: [Finding] {
        missing.map { Finding($0.place, "it is missing: \($0.witness)", kind: .missing) }
            + missingDirectories.map {
                Finding(
                    .directory($0), "the directory is missing, and with it whatever was in it",
                    kind: .missing)
            }
            + documents + unreadable
    }
}

/// Everything that something else names, and by what.
private struct Named {
    var objects: [ObjectName: String] = [:]
    var setAside: Set<ObjectName> = []

    private mutating func add(_ object: ObjectName, _ witness: String) {
        objects[object] = objects[object] ?? witness
    }

    mutating func addPacks(of index: RepositoryIndex) throws(VarveError) {
        for pack in index.packsListed() { add(ObjectName(.pack, pack), "the index lists what is in it") }
    }

    mutating func addMembers(of groups: [ParityGroup]) {
        for group in groups {
            for member in group.members { add(member.object, "parity covers it") }
        }
    }

    mutating func addSnapshots(of repository: Repository) throws(VarveError) {
        for reference in try repository.manifests.storedSummaries().keys {
            add(ObjectName(.manifest, reference.name), "a list of snapshots has it")
        }
        let own = try CopyRecords(repository).records[repository.copy.copy]
        if let newest = own?.newestSnapshot.flatMap({ SnapshotReference(name: $0) }) {
            add(ObjectName(.manifest, newest.name), "this copy's record names it")
        }
    }

    /// Of packs the hash is the name.
    mutating func addReadings(_ ledger: Ledger) {
        for (subject, rows) in ledger.last where subject.kind == .pack {
            guard let row = rows.first, row.result == .missing else { continue }
            add(ObjectName(.pack, subject.hash), "it was missed on \(row.time)")
        }
    }

    mutating func addQuarantine(of storage: any CopyStorage) throws(VarveError) {
        for kind in [ObjectKind.pack, .manifest] {
            for lost in try storage.lost(kind) {
                setAside.insert(lost.object)
                add(lost.object, "it was set aside as damaged on \(lost.setAside)")
            }
        }
    }

    mutating func forgive(_ ledger: Ledger) -> [ObjectName] {
        let unneeded = objects.keys.filter { $0.kind == .pack && ledger.isUnneeded($0) }
        for object in unneeded { objects[object] = nil }
        return unneeded
    }
}

extension SnapshotReference {
    /// Numbers from 1 to the largest that no snapshot has.
    static func gaps(in all: [SnapshotReference]) -> [ClosedRange<UInt64>] {
        var gaps: [ClosedRange<UInt64>] = []
        var next: UInt64 = 1
        for sequence in Set(all.map(\.sequence)).sorted() where sequence >= next {
            if sequence > next { gaps.append(next...sequence - 1) }
            next = sequence + 1
        }
        return gaps
    }
}
