import Synchronization
import VarveBlobs
import VarveFiles
import VarveFormat
import VarveRepository

/// Where a reader turns when its own copy can't give a blob or a manifest: the other copies that are there.
///
/// Their indexes are opened when they are first needed.
package final class OtherCopies: BlobFallback {
    /// What had to be read from another copy.
    package struct Use: Sendable {
        package var label: String
        package var blobs: Int
        /// What was wrong with the first.
        package var reason: String
    }

    private struct State {
        var indexes: [RepositoryIndex?]?
        var uses: [Int: Use] = [:]
    }

    private let copies: [(label: String, repository: Repository)]
    private let state = Mutex(State())

    /// - Returns: nil if there are none.
    package init?(_ copies: RepositoryCopies) {
        self.copies = copies.online.dropFirst().compactMap { copy in
            copy.repository.map { (copy.record.label, $0) }
        }
        if self.copies.isEmpty { return nil }
    }

    package func readers() -> [(number: Int, reader: BlobReader)] {
        let indexes = state.withLock { state -> [RepositoryIndex?] in
            if let known = state.indexes { return known }
            let opened = copies.map { copy in
                Notices.attempt(
                    .remark, copy.repository.path, "its index can't be read: the copy is not asked"
                ) {
                    try copy.repository.openIndex()
                }
            }
            state.indexes = opened
            return opened
        }
        return indexes.enumerated().compactMap { number, index in
            index.map { (number, BlobReader(index: $0, storage: copies[number].repository.storage)) }
        }
    }

    package func note(_ number: Int, _ error: VarveError) {
        state.withLock { state in
            state.uses[number, default: Use(label: copies[number].label, blobs: 0, reason: "\(error)")]
                .blobs += 1
        }
    }

    /// What was read from others so far.
    package var uses: [Use] { state.withLock { state in state.uses.sorted { $0.key < $1.key }.map(\.value) } }

    /// A manifest that the first copy can't give.
    package func readManifest(_ reference: SnapshotReference) -> Manifest? {
        copies.lazy.compactMap { copy in
            Notices.attempt(
                .remark, copy.repository.path,
                "the manifest of snapshot \(reference) can't be read there either"
            ) { try copy.repository.manifests.read(reference) }
        }.first
    }
}
