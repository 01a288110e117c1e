import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// What is wrong with one copy. A value: printed before anything is done.
public struct HealPlan: Codable, Sendable {
    public var copy: String
    public var label: String
    public var path: String
    /// What is not there and should be; a manifest of which no more is known by its number.
    public var missing: [String]
    /// Directories for objects, gone with whatever was in them.
    public var directories: [String]
    /// Objects and documents that are not what they should be.
    public var damaged: [Finding]
    /// What can't be read now: nothing is known against it, and nothing is done about it.
    public var unreadable: [Finding]
    /// What snapshots lack, whichever object held it.
    public var losses: [Loss]
    /// Packs and manifests under no parity, though this copy keeps it.
    public var uncovered: [String]

    public var isEmpty: Bool {
        missing.isEmpty && directories.isEmpty && damaged.isEmpty && unreadable.isEmpty && losses.isEmpty
            && uncovered.isEmpty
    }
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
    /// What could not be read, so that nothing is known of it; it was left as it is.
    public var unreadable: [Finding] = []
    /// Packs that are gone, and that no snapshot needs.
    public var unneeded: [String] = []
    /// Damage of other copies that was come upon.
    public var findings: [Finding] = []
    /// Packs and manifests that came under parity, or into another group.
    public var covered = 0
    /// Objects that another copy may have whole: it could not be read there.
    var unreadElsewhere: Set<String> = []
    /// What parity covers, and too much of it is damaged: by how much.
    public var beyondParity: [ParityRepairer.Outcome] = []

    public var isHealthy: Bool { lost.isEmpty && losses.isEmpty && unreadable.isEmpty }
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

    /// Reads every byte of the copy, and follows every snapshot.
    public func plan(_ target: RepositoryCopies.Copy) throws -> HealPlan {
        let repository = try target.writable()
        var options = MediaOptions()
        // All of it, whatever an interrupted run has read already.
        options.restarts = true
        let media = try Verifier(repository, isCancelled: isCancelled, progress: progress).verifyMedia(
            options)
        // Those that other copies have, whether or not anything here names them.
        let lacking = try CopySynchronizer(copies).plan(target)
        let followed = try Verifier(repository, isCancelled: isCancelled).verifyCompleteness()
        let directories = Set(try repository.storage.missingDirectories())
        let known = Set(media.findings.lazy.filter { $0.kind == .damaged }.map(\.object))
        let found = media.findings + followed.findings.filter { !known.contains($0.object) }
        var missing = Set(
            lacking.packs.map { "\(ObjectName(.pack, $0))" }
                + lacking.events.map { "\(ObjectName(.event, $0))" }
                + lacking.manifests.map { "\(ObjectName(.manifest, $0))" })
        missing.formUnion(found.lazy.filter { $0.kind == .missing }.map(\.object))
        return HealPlan(
            copy: target.record.copy, label: target.record.label, path: repository.path,
            missing: missing.subtracting(directories).sorted(), directories: directories.sorted(),
            damaged: found.filter { $0.kind == .damaged },
            unreadable: Set(found.filter { $0.kind == .unreadable }).sorted { $0.order < $1.order },
            losses: followed.losses, uncovered: media.uncovered)
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
