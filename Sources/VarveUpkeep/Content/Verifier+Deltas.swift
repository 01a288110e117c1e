import Synchronization
import VarveBlobs
import VarveFormat
import VarveStorage

/// What a content verification knows of blobs so far; shared by its threads.
final class BlobVerification: Sendable {
    private struct State {
        /// Ids whose bytes are lost.
        var bad: [ContentID: BlobType] = [:]
        /// Deltas not yet decoded, and whatever deltas are against. The first 8 bytes of the ids: a chance match
        /// would make a delta be looked at alone and not in its chain, no more.
        var deltas: Set<UInt64> = []
        var bases: Set<UInt64> = []
        /// Deltas whose base is in no pack.
        var baseless: [ContentID: VarveError] = [:]
        /// Those that are not data as long as an extent: nodes of maps, and the last extents of files.
        var odd: [ContentID: (type: BlobType, length: Int)] = [:]
    }

    let index: RepositoryIndex
    let storage: any Storage
    private let state = Mutex(State())

    init(index: RepositoryIndex, storage: any Storage) {
        self.index = index
        self.storage = storage
    }

    /// - Returns: false if it was known.
    func markBad(_ id: ContentID, _ type: BlobType) -> Bool {
        state.withLock { $0.bad.updateValue(type, forKey: id) == nil }
    }

    func isBad(_ id: ContentID) -> Bool { state.withLock { $0.bad[id] != nil } }

    /// What a backup found damaged it has stored again: then nothing is lost.
    func forgiveWhatIsWholeElsewhere() {
        let reader = BlobReader(index: index, storage: storage)
        for (id, type) in state.withLock({ $0.bad }) where index.isStoredTwice(id) {
            if (try? reader.read(id, type)) != nil { state.withLock { $0.bad[id] = nil } }
        }
    }

    func noteDelta(_ id: ContentID, base: ContentID) {
        state.withLock { state in
            state.deltas.insert(id.prefix.0)
            state.bases.insert(base.prefix.0)
        }
    }

    func noteShape(_ header: Pack.BlobHeader, ordinary: UInt32) {
        guard header.type != .data || header.decodedLength != ordinary else { return }
        state.withLock { $0.odd[header.id] = (header.type, Int(header.decodedLength)) }
    }

    /// Whether a map may list the blob as an extent of this length: the restore demands no less.
    func isData(_ id: ContentID, length: Int, ordinary: UInt32) -> Bool {
        guard let shape = state.withLock({ $0.odd[id] }) else { return length == Int(ordinary) }
        return shape.type == .data && shape.length == length
    }

    func noteBaseless(_ id: ContentID, _ error: VarveError) { state.withLock { $0.baseless[id] = error } }
    var baseless: [ContentID: VarveError] { state.withLock { $0.baseless } }

    func isBase(_ id: ContentID) -> Bool { state.withLock { $0.bases.contains(id.prefix.0) } }
    func isWaiting(_ id: ContentID) -> Bool { state.withLock { $0.deltas.contains(id.prefix.0) } }
    func markDecoded(_ ids: [ContentID]) {
        state.withLock { state in for id in ids { state.deltas.remove(id.prefix.0) } }
    }
    var isAnyWaiting: Bool { state.withLock { !$0.deltas.isEmpty } }
}

extension Verifier {
    /// Every delta, each decoded once: a chain is walked from the end that nothing is against, and every version on
    /// the way is checked.
    func verifyDeltas(_ packs: [ListedObject], _ blobs: BlobVerification) throws(VarveError) {
        guard blobs.isAnyWaiting else { return }
        try forEach(packs) { [self] object, _ in verifyDeltas(of: object, blobs) { !blobs.isBase($0) } }
        // In a ring of deltas each one is somebody's base; and see `BlobVerification.State`.
        if blobs.isAnyWaiting {
            try forEach(packs) { [self] object, _ in verifyDeltas(of: object, blobs) { _ in true } }
        }
    }

    private func verifyDeltas(
        of object: ObjectName, _ blobs: BlobVerification, where isDue: (ContentID) -> Bool
    ) {
        // A pack that can't be read was noted before.
        guard let pack = ContentID(hex: object.name),
            let contents = try? PackReader.contents(of: pack, in: repository.storage)
        else { return }
        let reader = BlobReader(index: blobs.index, storage: blobs.storage)
        let checker = IdentityChecker()
        var failed: [(ContentID, BlobType)] = []
        for entry in contents.entries where entry.header.base != nil && isDue(entry.header.id) {
            let (id, type) = (entry.header.id, entry.header.type)
            guard blobs.isWaiting(id) else { continue }
            if cancellation.isRequested { return }
            var isRoot = true
            var versions: [ContentID] = []
            do {
                try reader.readVersions(of: id, type) { (version, bytes) throws(VarveError) in
                    // A chain may be long, and each version of it large.
                    try cancellation.check()
                    versions.append(version)
                    defer { isRoot = false }
                    // What stands alone was checked with its pack.
                    if isRoot { return }
                    checker.slot(type).replace(with: bytes)
                    checker.add(version) { failed.append((id, type)) }
                }
            } catch {
                failed.append((id, type))
            }
            blobs.markDecoded(versions + [id])
        }
        checker.flush()
        for (id, type) in failed { locateDamage(id, type, reader, blobs) }
    }

    /// The first version of a chain that can't be had is damaged; those behind it are lost with it. Each is tried: where
    /// a damaged version was wrong, a later one may have replaced just those bytes, and is whole.
    private func locateDamage(
        _ id: ContentID, _ type: BlobType, _ reader: BlobReader, _ blobs: BlobVerification
    ) {
        let chain = (try? reader.chain(of: id, type)) ?? [id]
        var isBroken = false
        for version in chain.reversed() where !cancellation.isRequested {
            if blobs.isBad(version) {
                isBroken = true
                continue
            }
            do {
                _ = try reader.read(version, type)
                isBroken = false
            } catch {
                guard blobs.markBad(version, type), !isBroken else { continue }
                isBroken = true
                if error.code == .missing {
                    blobs.noteBaseless(version, error)
                } else {
                    noteDamage(of: version, error, blobs)
                }
            }
        }
    }

    /// A delta whose base is not there is damage if something is lost. A copy whose `copy sync` was cut short may have
    /// some, for snapshots that it has not got yet, and a backup does not build on them (`RepositoryIndex`). The packs
    /// with the deltas are whole: what is told is the pack that is missing, or where none is known, one base.
    func judgeBaseless(_ blobs: BlobVerification) {
        let baseless = blobs.baseless
        guard let (id, first) = baseless.min(by: { $0.key < $1.key }) else { return }
        let isExplained = report.withLock { report in
            if report.losses.isEmpty { report.baseless = baseless.count }
            return report.losses.isEmpty
                || report.findings.contains { $0.kind == .missing && $0.place.kind == .pack }
        }
        if isExplained { return }
        var error = first
        if baseless.count > 1 { error.message += ", and \(baseless.count) blobs are built on such" }
        noteDamage(of: id, error, blobs)
    }

    private func noteDamage(of version: ContentID, _ error: any Error, _ blobs: BlobVerification) {
        guard let place = blobs.index.find(version) else { return note(Finding(.blob(version), error)) }
        let start = UInt64(place.offset)
        note(ObjectName(.pack, place.pack), error, range: start..<start + UInt64(place.readLength))
    }
}
