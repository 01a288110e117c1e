import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// What a run of `ParityWriter` has done.
package struct ParityReport: Encodable, Sendable {
    package var percent: Int
    /// Packs and manifests that came under parity, or into another group.
    package var objects = 0
    /// Their bytes.
    package var bytes: UInt64 = 0
    package var groupsWritten = 0
    package var groupsRemoved = 0
    package var parityBytes: UInt64 = 0
    /// What is not what its name promises is not covered: parity would keep the damage.
    package var skipped: [Finding] = []

    /// Of another copy: the percentage stays this one's.
    mutating func add(_ other: ParityReport) {
        objects += other.objects
        bytes += other.bytes
        groupsWritten += other.groupsWritten
        groupsRemoved += other.groupsRemoved
        parityBytes += other.parityBytes
        skipped += other.skipped
    }
}

/// Brings packs and manifests under parity. The caller holds the writer's lock.
///
/// An old group goes when everything that it covers is covered by new ones that are durable. One of which a member is
/// damaged or gone stays: it may be what gives that member back.
package final class ParityWriter {
    private let storage: any Storage
    private let repository: RepositoryID
    private let percent: Int
    private let policy: ParityPolicy
    private let encoder: ParityEncoder
    private let progress: (Progress) -> Void

    /// - Precondition: a percentage in `ParityShape.percents`
    package convenience init(
        _ repository: Repository, percent: Int, cancellation: Cancellation = Cancellation(),
        progress: @escaping (Progress) -> Void = { _ in }
    ) {
        self.init(
            storage: repository.storage, repository: repository.id, percent: percent,
            scratchDirectory: repository.scratchDirectory, cancellation: cancellation, progress: progress)
    }

    /// - Parameter scratchDirectory: for the parity of a group, while it is made.
    package init(
        storage: any Storage, repository: RepositoryID, percent: Int, scratchDirectory: String,
        policy: ParityPolicy = ParityPolicy(), cancellation: Cancellation = Cancellation(),
        progress: @escaping (Progress) -> Void = { _ in }
    ) {
        self.storage = storage
        self.repository = repository
        self.percent = percent
        self.policy = policy
        self.progress = progress
        encoder = ParityEncoder(
            storage, repository, scratchDirectory: scratchDirectory, cancellation: cancellation)
    }

    /// Covers what no group covers.
    ///
    /// - Parameter renewing: and makes groups of another percentage anew.
    package func cover(renewing: Bool = false) throws(VarveError) -> ParityReport {
        var report = ParityReport(percent: percent)
        let loaded = try ParityGroup.load(storage, of: repository)
        let groups = loaded.groups
        // What they cover can't be told now: another run may be able to.
        if let (name, error) = loaded.unreadable.first(where: { !$0.error.isOfMedium }) {
            throw error.unreadable("\(ObjectName(.parity, name))")
        }
        // Of no use to anybody; what they covered is covered anew. What the disk can't read is left where it is.
        for name in loaded.damaged { try storage.setAside(ObjectName(.parity, name)) }
        let plan = ParityPlan(
            covering: try ParityStatus.stored(
                in: storage, except: Set(groups.lazy.flatMap(\.members).map(\.identity))),
            groups: groups.map { ($0.name, $0.shape, $0.members) },
            percent: percent, renewing: renewing, policy: policy)
        let total = plan.groups.joined().reduce(0) { $0 + UInt64($1.size) }
        var covered: Set<ParityMember> = []
        var names: Set<String> = []
        var done: UInt64 = 0
        for members in plan.groups {
            progress(Progress(item: "parity", bytesDone: done, bytesTotal: total))
            let whole = try write(members, &report, &names)
            covered.formUnion(whole)
            done += members.reduce(0) { $0 + UInt64($1.size) }
        }
        for (name, members) in plan.merged where !names.contains(name) && covered.isSuperset(of: members) {
            try storage.remove(ObjectName(.parity, name))
            report.groupsRemoved += 1
        }
        return report
    }

    /// - Returns: the members that are covered now: those that are whole.
    private func write(
        _ members: [ParityMember], _ report: inout ParityReport, _ names: inout Set<String>
    ) throws(VarveError) -> [ParityMember] {
        let hashed = try encoder.hash(members)
        var (whole, checksums): ([ParityMember], [UInt32]) = ([], [])
        for member in members {
            switch hashed[member] {
            case .success(let sums):
                whole.append(member)
                checksums += sums
            case .failure(let error):
                report.skipped.append(Finding(.object(member.object), error))
            case nil: preconditionFailure("every member is hashed")
            }
        }
        guard !whole.isEmpty else { return [] }
        let shape = ParityShape(blocks: checksums.count, percent: percent)
        let parity = try encoder.encode(whole, shape, checksums: checksums)
        _ = try storage.publish(.parity) { (append) throws(VarveError) in
            try parity.write(append)
            return parity.name
        }
        names.insert(parity.name)
        report.objects += whole.count
        report.bytes += whole.reduce(0) { $0 + UInt64($1.size) }
        report.parityBytes += parity.byteCount
        report.groupsWritten += 1
        return whole
    }
}

extension Repository {
    /// For what is too large for memory; what a killed run leaves there goes with the next writer.
    var scratchDirectory: String { Path.join(path, "tmp") }
}
