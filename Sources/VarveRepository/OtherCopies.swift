import Synchronization
import VarveFormat

/// Where a reader turns when its own copy can't give a blob or a manifest: the other copies that are there.
///
/// Their indexes are opened when they are first needed.
public final class OtherCopies: Sendable {
    /// What had to be read from another copy.
    public struct Use: Sendable {
        public var label: String
        public var blobs: Int
        /// What was wrong with the first.
        public var reason: String
    }

    private struct State {
        var indexes: [RepositoryIndex?]?
        var uses: [Int: Use] = [:]
    }

    private let copies: [(label: String, repository: Repository)]
    private let state = Mutex(State())

    /// - Returns: nil if there are none.
    public init?(_ copies: RepositoryCopies) {
        self.copies = copies.online.dropFirst().compactMap { copy in
            copy.repository.map { (copy.record.label, $0) }
        }
        if self.copies.isEmpty { return nil }
    }

    /// For one thread, each with the number of its copy.
    func readers() -> [(number: Int, reader: BlobReader)] {
        let indexes = state.withLock { state -> [RepositoryIndex?] in
            if let known = state.indexes { return known }
            let opened = copies.map { try? $0.repository.openIndex() }
            state.indexes = opened
            return opened
        }
        return indexes.enumerated().compactMap { number, index in
            index.map { (number, BlobReader(index: $0, storage: copies[number].repository.storage)) }
        }
    }

    func note(_ number: Int, _ error: VarveError) {
        state.withLock { state in
            state.uses[number, default: Use(label: copies[number].label, blobs: 0, reason: "\(error)")]
                .blobs += 1
        }
    }

    /// What was read from others so far.
    public var uses: [Use] { state.withLock { state in state.uses.sorted { $0.key < $1.key }.map(\.value) } }

    /// A manifest that the first copy can't give.
    public func readManifest(_ reference: SnapshotReference) -> Manifest? {
        copies.lazy.compactMap { try? $0.repository.manifests.read(reference) }.first
    }
}
