import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage
import VarveUpkeep

/// What is wrong with one copy. A value: printed before anything is done.
package struct HealPlan: Encodable, Sendable {
    package var copy: String
    package var label: String
    package var path: String
    /// What is not there and should be; a manifest of which no more is known by its number.
    package var missing: [Finding.Place]
    /// Directories for objects, gone with whatever was in them.
    package var directories: [Finding.Place]
    /// Objects and documents that are not what they should be.
    package var damaged: [Finding]
    /// What can't be read now: nothing is known against it, and nothing is done about it.
    package var unreadable: [Finding]
    /// What snapshots lack, whichever object held it.
    package var losses: [Loss]
    /// Packs and manifests under no parity, though this copy keeps it.
    package var uncovered: [ObjectName]

    package var isEmpty: Bool {
        missing.isEmpty && directories.isEmpty && damaged.isEmpty && unreadable.isEmpty && losses.isEmpty
            && uncovered.isEmpty
    }
}

package struct HealReport: Encodable, Sendable {
    /// Where a good object came from.
    package enum Source: Encodable, Hashable, Sendable {
        case copy(label: String)
        /// Parts of it from several copies, none of which is whole.
        case parts
        case parity
        /// A cache was made anew.
        case rebuilt
    }

    package struct Healed: Encodable, Sendable {
        package var place: Finding.Place
        package var source: Source

        private enum CodingKeys: String, CodingKey { case place = "object", source }
    }

    package var copy: String
    package var label: String
    package var path: String
    package var healed: [Healed] = []
    /// Packs that no copy can give whole: blobs that were saved from them into new packs.
    package var salvagedBlobs = 0
    /// Good nowhere; what depends on them, `losses` says.
    package var lost: [Finding] = []
    package var losses: [Loss] = []
    /// What could not be read, so that nothing is known of it; it was left as it is.
    package var unreadable: [Finding] = []
    /// Packs that are gone, and that no snapshot needs.
    package var unneeded: [ObjectName] = []
    /// Damage of other copies that was come upon.
    package var findings: [Finding] = []
    /// Packs and manifests that came under parity, or into another group.
    package var covered = 0
    /// Objects that another copy may have whole: it could not be read there.
    var unreadElsewhere: Set<ObjectName> = []
    /// What parity covers, and too much of it is damaged: by how much.
    package var beyondParity: [ParityHealer.ObjectReport] = []

    package var isHealthy: Bool { lost.isEmpty && losses.isEmpty && unreadable.isEmpty }
}

/// Replaces what is bad or missing in a copy by what another copy has, checked as it is copied. What was bad goes to
/// `quarantine/`; nothing is deleted, and a healthy copy is not touched.
package final class Healer: Sendable {
    let copies: RepositoryCopies
    let cancellation: Cancellation
    private let progress: @Sendable (Progress) -> Void

    package init(
        _ copies: RepositoryCopies, cancellation: Cancellation = Cancellation(),
        progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        self.copies = copies
        self.cancellation = cancellation
        self.progress = progress
    }

    /// Reads every byte of the copy, and follows every snapshot.
    package func plan(_ target: RepositoryCopy) throws(VarveError) -> HealPlan {
        let repository = try target.writable()
        var options = MediaOptions()
        // All of it, whatever an interrupted run has read already.
        options.restarts = true
        let media = try Verifier(repository, cancellation: cancellation, progress: progress).verifyMedia(
            options)
        // Those that other copies have, whether or not anything here names them.
        let lacking = try CopySynchronizer(copies).plan(target)
        let followed = try Verifier(repository, cancellation: cancellation).verifyCompleteness()
        let directories = Set(
            try repository.storage.missingDirectories().map { Finding.Place.directory($0) })
        let known = Set(media.findings.lazy.filter { $0.kind == .damaged }.map(\.place))
        let found = media.findings + followed.findings.filter { !known.contains($0.place) }
        var missing = Set(lacking.objects.map { Finding.Place.object($0) })
        missing.formUnion(found.lazy.filter { $0.kind == .missing }.map(\.place))
        return HealPlan(
            copy: target.record.copy, label: target.record.label, path: repository.path,
            missing: missing.subtracting(directories).sorted(), directories: directories.sorted(),
            damaged: found.filter { $0.kind == .damaged },
            unreadable: Set(found.filter { $0.kind == .unreadable }).sorted { $0.order < $1.order },
            losses: followed.losses, uncovered: media.uncovered)
    }
}
