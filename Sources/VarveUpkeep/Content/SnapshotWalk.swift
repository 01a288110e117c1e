import VarveBlobs
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// Follows snapshots to every extent that they need. A node of a map that several files or snapshots share, or that
/// stands in one map many times, is followed once: the work is bounded by what is stored, whatever maps say of it.
final class SnapshotWalk {
    /// What of a file, or of what lies beneath a node, is lost.
    struct Lost {
        /// Bytes; in order, without overlaps.
        var ranges: [Range<UInt64>] = []
        /// A node can't be had, or is wrong: the file can't be restored as a whole.
        var isBroken = false

        var isNone: Bool { ranges.isEmpty && !isBroken }

        /// Of one node so many are told apart.
        static let limit = 1 << 14

        mutating func add(_ range: Range<UInt64>) {
            if let last = ranges.last, last.upperBound == range.lowerBound {
                ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            } else if let first = ranges.first, ranges.count == Self.limit {
                ranges = [first.lowerBound..<range.upperBound]
            } else {
                ranges.append(range)
            }
        }
    }

    /// A node, and what its parent says of it.
    private struct Place: Hashable {
        var id: ContentID
        var level: Int?
        var length: UInt64
        var extentSize: UInt32?
    }

    private let reader: BlobReader
    private let cancellation: Cancellation
    private let isWhole: (_ extent: ContentID, _ length: Int) -> Bool
    private var known: [Place: Lost] = [:]

    /// - Parameter isWhole: whether an extent of this length can be had.
    init(
        _ reader: BlobReader, cancellation: Cancellation,
        isWhole: @escaping (_ extent: ContentID, _ length: Int) -> Bool
    ) {
        self.reader = reader
        self.cancellation = cancellation
        self.isWhole = isWhole
    }

    /// Only whether each blob is in a pack that is there: no blob but nodes of maps is read.
    convenience init(_ index: RepositoryIndex, _ repository: Repository, cancellation: Cancellation) {
        self.init(BlobReader(index: index, storage: repository.storage), cancellation: cancellation) {
            id, _ in
            index.find(id) != nil
        }
    }

    /// - Throws: `.interrupted`, and what has nothing to do with what is stored.
    func lost(of file: Manifest.StoredFile) throws(VarveError) -> Lost {
        guard let map = file.map.flatMap({ ContentID(hex: $0) }) else {
            return Lost(isBroken: file.size != 0)
        }
        if map == .zero { return Lost() }
        return try lost(Place(id: map, level: nil, length: file.size, extentSize: nil))
    }

    private func lost(_ place: Place) throws(VarveError) -> Lost {
        if let known = known[place] { return known }
        try cancellation.check()
        let found: Lost
        do {
            found = try follow(place)
        } catch let error where error.code != .interrupted && !error.isOfTheMoment {
            var all = Lost(isBroken: true)
            if place.length > 0 { all.add(0..<place.length) }
            found = all
        }
        known[place] = found
        return found
    }

    private func follow(_ place: Place) throws(VarveError) -> Lost {
        let node = try reader.read(place.id, .map).withBytes { (bytes) throws(VarveError) in
            try ExtentMapNode(bytes)
        }
        guard node.length == place.length, place.level.map({ node.level == $0 }) ?? true,
            place.extentSize.map({ node.extentSize == $0 }) ?? true
        else {
            throw VarveError(.corrupt, "extent map \(place.id.short) does not fit where it is referred to")
        }
        var all = Lost()
        for (number, child) in node.children.enumerated() where child != .zero {
            let start = UInt64(number) * node.childSpan
            let length = node.childLength(number)
            guard node.level > 0 else {
                if !isWhole(child, Int(length)) { all.add(start..<start + length) }
                continue
            }
            let beneath = try lost(
                Place(id: child, level: node.level - 1, length: length, extentSize: node.extentSize))
            for range in beneath.ranges { all.add(start + range.lowerBound..<start + range.upperBound) }
            all.isBroken = all.isBroken || beneath.isBroken
        }
        return all
    }
}

extension Verifier {
    /// Every manifest, and what each needs.
    func follow(_ references: [SnapshotReference], _ walk: SnapshotWalk) throws(VarveError) {
        let names = Set(references.map(\.name))
        var whole: [WholeSnapshot] = []
        for reference in references {
            report.withLock { $0.snapshots += 1 }
            do {
                let manifest = try repository.manifests.read(reference)
                if let previous = manifest.previous, !names.contains(previous) {
                    noteMissing(previous, before: reference)
                }
                var isWhole = true
                for file in manifest.files {
                    let lost = try walk.lost(of: file)
                    if lost.isNone { continue }
                    isWhole = false
                    lose(reference, file, lost)
                }
                if isWhole, !manifest.tainted || manifest.isTaintedByRepository {
                    whole.append(WholeSnapshot(reference: reference, wasTainted: manifest.tainted))
                }
            } catch let error where error.code == .interrupted {
                throw error
            } catch {
                note(ObjectName(.manifest, reference.name), error)
            }
        }
        wholeSnapshots.withLock { $0 = whole }
    }

    private func noteMissing(_ previous: String, before reference: SnapshotReference) {
        let place = Finding.Place.object(ObjectName(.manifest, previous))
        let number = SnapshotReference(name: previous).map { Finding.Place.number($0.sequence) }
        report.withLock { report in
            // By its number alone, or for another reason, it may be known to be missing.
            report.findings.removeAll { $0.kind == .missing && ($0.place == place || $0.place == number) }
        }
        note(
            Finding(
                place, "it is missing: snapshot \(reference) says that it comes after it", kind: .missing))
    }

    private func lose(_ reference: SnapshotReference, _ file: Manifest.StoredFile, _ lost: SnapshotWalk.Lost)
    {
        let ranges: [Range<UInt64>?] = lost.isBroken ? [nil] : lost.ranges
        report.withLock { report in
            report.losses += ranges.map {
                Loss(snapshot: reference.description, path: file.path, range: $0)
            }
        }
    }
}

extension Manifest {
    /// Nothing was wrong at the source: the repository had damage, which it may share. Found whole, it is as any other.
    package var isTaintedByRepository: Bool {
        tainted && warnings.allSatisfy { !$0.taints || $0.code == Warning.repositoryDamaged }
    }
}

extension Manifest.Warning {
    /// What the backup found damaged in the repository, and may have built on.
    package static let repositoryDamaged = "repository-damaged"
}
