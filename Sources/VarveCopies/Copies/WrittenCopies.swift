import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// What a copy says of a snapshot, durably: its own record counts it, or it did not get it.
package struct CopyAcknowledgement: Codable, Sendable {
    package var copy: String
    package var label: String
    package var path: String
    package var role: String
    package var isAcknowledged: Bool
    /// It was there when the run began, and failed in it.
    package var hasFailed: Bool
    /// A person has to look at it: it failed, is damaged, its record was lost, it is there and may not or can't be
    /// written to, or something else is in its place. One that is away or that somebody else is writing to is nothing
    /// to look at.
    package var needsAttention: Bool
    /// Of the files that say which copy it is, those that are damaged.
    package var damagedDocuments: [String]
    /// The named copy had lost its record of this copy; the backup wrote the record again.
    package var recordLost: Bool
    /// Objects of before that it lacked, and that the backup brought first.
    package var caughtUp: Int
    /// Why it has not got the snapshot.
    package var reason: String?
    /// What a person can do about that.
    package var hint: String?
}

/// The copies that a backup writes to.
package final class WrittenCopies: CommitDestination {
    /// A copy that lacks no more than so many objects, of at most 16 MiB each, catches up before it is written to: a
    /// run that was cut off in the middle of its commit must not keep the next ones from having enough copies. More is
    /// for `copy sync`, whose time nobody waits for.
    private static let catchUpLimit = 16

    package let repository: Repository
    /// What each copy says of the snapshot that was committed.
    package private(set) var acknowledgements: [CopyAcknowledgement] = []
    private let disks: CopySet
    private let locks: [WriterLock]
    private let copies: [RepositoryCopy]
    /// By their places in `copies`, objects.
    private var caughtUp: [Int: Int] = [:]
    /// Of those in `set`, in its order: where they are in `copies`.
    private let members: [Int]
    private var absences: [Int: VarveError] = [:]
    private let required: Int

    /// Takes the lock of every copy that is there; one that another varve writes to counts as away.
    ///
    /// - Parameter required: so many copies must have a snapshot for it to count.
    /// - Throws: `.locked` if another writer is in the named copy, `.clonedCopy` or `.rolledBack` if nothing may be
    ///   written to it, `.tooFewCopies` if fewer than required can be written to.
    package init(_ known: RepositoryCopies, required: Int, patience: Double = 20) throws(VarveError) {
        if let refusal = known.copies[0].refusal { throw refusal }
        repository = known.named
        var copies = known.copies
        self.required = required
        var locks = [try WriterLock(known.named)]
        try known.named.storage.removeTemporaryFiles()
        var members: [Int] = []
        var storages: [Int: any Storage] = [:]
        for (number, copy) in copies.enumerated() {
            guard let repository = copy.repository else {
                absences[number] = copy.absence
                continue
            }
            if let refusal = copy.refusal {
                absences[number] = refusal
                continue
            }
            do {
                if number > 0 {
                    guard
                        let lock = try within(
                            seconds: patience, { () throws(VarveError) in try Self.prepare(repository) }),
                        let brought = try within(
                            seconds: 3 * patience,
                            { () throws(VarveError) in
                                // Nobody waits for it any more, and it writes still: the lock stays with it.
                                defer { withExtendedLifetime(lock) {} }
                                return try Self.catchUp(copy, repository, known)
                            })
                    else { throw VarveError(.hung, "the disk does not answer", location: repository.path) }
                    locks.append(lock)
                    if brought > 0 {
                        caughtUp[number] = brought
                        copies[number].lacking = 0
                    }
                }
                // The first is what the next backup compares with.
                storages[number] =
                    number == 0 ? repository.storage : try repository.storage.passingCache()
                members.append(number)
            } catch {
                absences[number] = error as? VarveError ?? VarveError(.system, "\(error)")
            }
        }
        self.copies = copies
        self.locks = locks
        self.members = members
        disks = CopySet(
            members.compactMap { number in
                let copy = copies[number]
                guard let repository = copy.repository, let identity = copy.identity,
                    let storage = storages[number]
                else { return nil }
                return CopySet.Member(
                    label: copy.record.label, storage: storage, isComplete: copy.isComplete,
                    check: { () throws(VarveError) in try identity.check(repository.copy) })
            }, required: required)
        let complete = members.count { copies[$0].isComplete }
        guard complete >= required else {
            throw VarveError.tooFewCopies(
                "only \(complete) of \(copies.count) copies can store a whole snapshot; \(required) required",
                because: excuses(),
                hint: "mount the others, and bring those that lag behind up to date ('varve copy sync'). "
                    + "Nothing was stored")
        }
    }

    package var storage: any Storage { disks }

    package func check() throws(VarveError) { try disks.check() }

    /// Those but the first that nothing has happened to.
    package var others: [Repository] {
        zip(members, disks.failures()).dropFirst().compactMap { number, failure in
            failure == nil ? copies[number].repository : nil
        }
    }

    /// - Returns: how many objects it got; 0 if it lacks nothing, too much, or still something.
    /// - Throws: why it could not be brought up to date; it is left out of the backup then.
    private static func catchUp(
        _ copy: RepositoryCopy, _ repository: Repository, _ known: RepositoryCopies
    ) throws(VarveError) -> Int {
        guard let lacking = copy.lacking, (1...catchUpLimit).contains(lacking) else { return 0 }
        let synchronizer = CopySynchronizer(known)
        let plan = try synchronizer.plan(copy)
        guard plan.count <= catchUpLimit else { return 0 }
        let report = try synchronizer.run(plan, copy, repository)
        return report.isComplete ? report.objects : 0
    }

    private static func prepare(_ repository: Repository) throws(VarveError) -> WriterLock {
        let lock = try WriterLock(repository)
        try repository.storage.removeTemporaryFiles()
        return lock
    }

    /// After the manifest was published: each copy that has it writes its record, then all hear of all records.
    package func acknowledge(_ reference: SnapshotReference) throws(VarveError) {
        let failures = Dictionary(uniqueKeysWithValues: zip(members, disks.failures()))
        var records: [CopyRecord] = []
        var reasons: [Int: VarveError] = absences
        for number in members {
            guard let repository = copies[number].repository else { continue }
            do {
                if let failure = failures[number] ?? nil { throw failure }
                guard copies[number].isComplete else { throw lagging(copies[number]) }
                let packs = UInt64(try repository.storage.list(.pack).count)
                let snapshots = UInt64(try repository.storage.list(.manifest).count)
                records.append(
                    try repository.updateRecord(copies[number].record) {
                        $0.newestSnapshot = reference.name
                        $0.packs = packs
                        $0.snapshots = snapshots
                        $0.synchronized = $0.written
                        $0.detached = nil
                    })
            } catch {
                reasons[number] = error as? VarveError ?? VarveError(.system, "\(error)")
            }
        }
        try require(records.count, reference, reasons)
        for number in members where (failures[number] ?? nil) == nil {
            // A record that others did not hear of is heard of at the next run.
            Notices.attempt(.remark, copies[number].record.path, Repository.unheard) {
                try copies[number].repository?.learn(records + copies.map(\.record))
            }
        }
        acknowledgements = copies.enumerated().map { number, copy in
            let reason = reasons[number]
            let isQuiet = absences[number].map { $0.code == .noRepository || $0.code == .locked } ?? true
            let hasFailed = (failures[number] ?? nil) != nil
            let damaged = copy.repository?.damagedIdentityDocuments ?? []
            return CopyAcknowledgement(
                copy: copy.record.copy, label: copy.record.label,
                path: copy.repository?.path ?? copy.record.path, role: copy.record.role,
                isAcknowledged: reason == nil, hasFailed: hasFailed,
                needsAttention: hasFailed || !isQuiet || !damaged.isEmpty || copy.isRecordLost,
                damagedDocuments: damaged, recordLost: copy.isRecordLost,
                caughtUp: caughtUp[number] ?? 0,
                reason: reason.map { "\($0)" }, hint: reason?.hint)
        }
    }

    private func require(
        _ count: Int, _ reference: SnapshotReference, _ reasons: [Int: VarveError]
    ) throws(VarveError) {
        guard count < required else { return }
        throw VarveError.tooFewCopies(
            "snapshot \(reference) is on only \(count) copies; \(required) required",
            because: copies.enumerated().compactMap { number, copy in
                reasons[number].map { (copy.record.label, $0) }
            },
            hint: "mount the other copies, then run 'varve copy sync': these copies can restore the snapshot")
    }

    private func lagging(_ copy: RepositoryCopy) -> VarveError {
        VarveError(
            .missing,
            copy.lacking.map { "it lacks \($0) earlier objects; only new packs were written to it" }
                ?? "it can't be listed",
            hint: "varve copy sync")
    }

    private func excuses() -> [(label: String, error: VarveError)] {
        copies.enumerated().compactMap { number, copy in
            (absences[number] ?? (copy.isComplete ? nil : lagging(copy))).map { (copy.record.label, $0) }
        }
    }
}
