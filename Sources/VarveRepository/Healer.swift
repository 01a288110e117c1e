import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// What is wrong with one copy. A value: printed before anything is done.
public struct HealPlan: Codable, Sendable {
    public var copy: String
    public var label: String
    public var path: String
    /// Objects that are not what their names promise or can't be read; as they lie in the copy.
    public var damaged: [Finding]
    /// Packs and manifests that another copy has, or that parity covers.
    public var missing: [String]

    public var isEmpty: Bool { damaged.isEmpty && missing.isEmpty }
}

public struct HealReport: Codable, Sendable {
    /// Where a good object came from.
    public enum Source: Codable, Hashable, Sendable {
        case copy(label: String)
        /// Parts of it from several copies, none of which is whole.
        case parts
        case parity
        /// A cache was made anew.
        case rebuilt
    }

    public struct Healed: Codable, Sendable {
        public var object: String
        public var source: Source
    }

    public var copy: String
    public var label: String
    public var path: String
    public var healed: [Healed] = []
    /// Packs that no copy can give whole: blobs that were saved from them into new packs.
    public var salvagedBlobs = 0
    /// Good nowhere; what depends on them, `losses` says.
    public var lost: [Finding] = []
    public var losses: [Loss] = []
    /// Damage of other copies that was come upon.
    public var findings: [Finding] = []
    /// What parity covers, and too much of it is damaged: by how much.
    public var beyondParity: [ParityRepairer.Outcome] = []

    public var isHealthy: Bool { lost.isEmpty && losses.isEmpty }
}

/// Replaces what is bad or missing in a copy by what another copy has, checked as it is copied. What was bad goes to
/// `quarantine/`; nothing is deleted, and a healthy copy is not touched.
public final class Healer: Sendable {
    let copies: RepositoryCopies
    let isCancelled: @Sendable () -> Bool
    private let progress: @Sendable (_ object: String, _ bytesDone: UInt64, _ bytesTotal: UInt64) -> Void

    public init(
        _ copies: RepositoryCopies, isCancelled: @escaping @Sendable () -> Bool = { false },
        progress: @escaping @Sendable (_ object: String, _ bytesDone: UInt64, _ bytesTotal: UInt64) -> Void =
            { _, _, _ in }
    ) {
        self.copies = copies
        self.isCancelled = isCancelled
        self.progress = progress
    }

    /// Reads every byte of the copy.
    public func plan(_ target: RepositoryCopies.Copy) throws -> HealPlan {
        let repository = try target.there()
        var options = MediaOptions()
        // All of it, whatever an interrupted run has read already.
        options.restarts = true
        let report = try Verifier(repository, isCancelled: isCancelled, progress: progress).verifyMedia(
            options)
        let missing = try CopySynchronizer(copies).plan(target)
        // What no copy has any more, parity knows of.
        let gone = try ParityRepairer(repository).missing().map { "\($0)" }
        return HealPlan(
            copy: target.record.copy, label: target.record.label, path: repository.path,
            damaged: report.findings.filter {
                ObjectName(path: $0.object) != nil || RepositoryIdentity.fileNames.contains($0.object)
            },
            missing: Set(
                missing.packs.map { "\(ObjectName(.pack, $0))" }
                    + missing.events.map { "\(ObjectName(.event, $0))" }
                    + missing.manifests.map { "\(ObjectName(.manifest, $0))" } + gone
            ).sorted())
    }

    /// Packs, then the index, then manifests, as in a backup.
    public func run(_ plan: HealPlan) throws -> HealReport {
        let target = try copies.find(plan.copy)
        let repository = try target.there()
        var report = HealReport(copy: plan.copy, label: plan.label, path: plan.path)
        guard !plan.isEmpty else { return report }
        let lock = try WriterLock(repository)
        defer { withExtendedLifetime(lock) {} }
        try repository.storage.removeTemporaryFiles()
        for name in try repository.mendIdentity() {
            report.healed.append(.init(object: name, source: .rebuilt))
        }
        let damaged = plan.damaged.compactMap { ObjectName(path: $0.object) }
        let bad = Set(damaged)
        let missing = plan.missing.compactMap { ObjectName(path: $0) }
        let packs = Set(damaged + missing).filter { $0.kind == .pack }.sorted { $0.name < $1.name }
        let parity = ParityRepairer(repository)
        let lostPacks = try repair(try replace(packs, bad, in: target, &report), by: parity, &report)
        try heal(packs: lostPacks, in: target, &report)
        for object in bad.sorted(by: { $0.name < $1.name }) where object.kind != .parity {
            if object.kind.isCache {
                try repository.storage.setAside(object)
                report.healed.append(.init(object: "\(object)", source: .rebuilt))
            } else if object.kind.isRecord {
                try repository.storage.setAside(object)
                report.findings.append(
                    Finding(
                        object: "\(object)",
                        problem: "a record of this copy that is damaged: it was set aside"))
            }
        }
        let index = try repository.openIndex(isWriter: true)
        try index.confirmUnlisted()
        try index.flush()
        let manifests = Set(damaged + missing).filter { $0.kind == .event || $0.kind == .manifest }.sorted {
            ($0.kind.rawValue, $0.name) < ($1.kind.rawValue, $1.name)
        }
        let lostManifests = try repair(try replace(manifests, bad, in: target, &report), by: parity, &report)
        for manifest in lostManifests {
            report.lost.append(Finding(object: "\(manifest)", problem: "it is good in no copy that is there"))
        }
        if let newest = try repository.manifests.list().last,
            let manifest = try? repository.manifests.read(newest)
        {
            repository.manifests.summarize(newest, manifest)
        }
        try renew(parity, of: repository, &report)
        // Where the medium has been bad, what was written is read again. What was missing counts as never read.
        var options = MediaOptions()
        options.onlyBad = true
        _ = try Verifier(repository, isCancelled: isCancelled).verifyMedia(options)
        if !report.lost.isEmpty {
            let content = try Verifier(repository, isCancelled: isCancelled).verifyContent()
            report.losses = content.losses
        }
        return report
    }

    /// Damaged parity is made anew from what it covers, and what came to be uncovered is covered again.
    private func renew(
        _ parity: ParityRepairer, of repository: Repository, _ report: inout HealReport
    ) throws {
        for outcome in try parity.repairParity() {
            switch outcome.result {
            case .whole: break
            case .regenerated, .setAside:
                report.healed.append(.init(object: outcome.object, source: .rebuilt))
            case .left:
                report.findings.append(
                    Finding(
                        object: outcome.object,
                        problem: "parity that is damaged, and so is what it covers: "
                            + outcome.damagedMembers.joined(separator: " ")))
            }
        }
        if case .failure(let error)? = repository.updateParity(isCancelled: isCancelled) { throw error }
    }

    /// From another copy.
    ///
    /// - Returns: those that no copy has whole.
    private func replace(
        _ objects: [ObjectName], _ bad: Set<ObjectName>, in target: RepositoryCopies.Copy,
        _ report: inout HealReport
    ) throws -> [ObjectName] {
        let repository = try target.there()
        let sources = copies.online.compactMap(\.repository).filter { $0 !== repository }
        let labels = Dictionary(
            copies.online.compactMap { copy in
                copy.repository.map { (ObjectIdentifier($0), copy.record.label) }
            },
            uniquingKeysWith: { first, _ in first })
        let state = Monitor((report: report, lost: [ObjectName]()))
        let copying = try CopyObjects(to: target, from: sources, replacing: bad, isCancelled: isCancelled) {
            object, source, error in
            state.change { $0.report.findings.append(Finding(of: object, in: source, error)) }
        }
        try copying.copy(objects) { object, outcome in
            state.change { state in
                switch outcome {
                case .copied(_, let source):
                    let label = labels[ObjectIdentifier(source)] ?? source.path
                    state.report.healed.append(.init(object: "\(object)", source: .copy(label: label)))
                case .wasThere: break
                case .noSourceIsGood: state.lost.append(object)
                }
            }
        }
        report = state.change { $0.report }
        report.healed.sort { $0.object < $1.object }
        return state.change { $0.lost }.sorted { $0.name < $1.name }
    }
}

extension ObjectName {
    /// From `packs/<name>`, as it is described.
    init?(path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let kind = ObjectKind(rawValue: String(parts[0])) else { return nil }
        let object = ObjectName(kind, String(parts[1]))
        guard object.contentHash != nil else { return nil }
        self = object
    }
}
