import VarveBlobs
import VarveCodec
import VarveCopies
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// Writes one file after another from its extents, several batches of extents at a time.
final class RestoreWriters {
    /// Extents looked up and sorted by place at once: 512 MiB of the file, 300 KiB of memory.
    private static let window = 4096

    private let index: RepositoryIndex
    private let cancellation: Cancellation
    private let mapReader: BlobReader
    private let work: BoundedQueue<Item>
    private let threads: [WorkerThread]

    /// Extents to fetch and write.
    private struct Item: Sendable {
        var extents: [MappedExtent]
        var output: Output
    }

    /// A file being written; shared by the workers.
    private final class Output: Sendable {
        let file: File
        let state: Monitor<(pending: Int, bytes: UInt64, error: VarveError?)>

        init(_ file: consuming File) {
            self.file = file
            state = Monitor((0, 0, nil))
        }
    }

    /// - Throws: `.system` where no thread can be had.
    init(
        index: RepositoryIndex, storage: any Storage, others: OtherCopies? = nil, cancellation: Cancellation
    ) throws(VarveError) {
        self.index = index
        self.cancellation = cancellation
        mapReader = BlobReader(index: index, storage: storage, others: others)
        let work = BoundedQueue<Item>(capacity: 2 * Host.workers)
        self.work = work
        threads = try WorkerThread.several(Host.workers) {
            let reader = BlobReader(index: index, storage: storage, others: others)
            let buffers = (0..<Hasher.batchSize).map { _ in BlobBuffer() }
            while let item = work.pop() { Self.carryOut(item, reader, buffers) }
        }
    }

    private static func carryOut(_ item: Item, _ reader: BlobReader, _ buffers: [BlobBuffer]) {
        let result = Result { () throws(VarveError) in try write(item, reader, buffers) }
        item.output.state.change { state in
            state.pending -= 1
            state.bytes += item.extents.reduce(0) { $0 + UInt64($1.length) }
            if case .failure(let error) = result, state.error == nil { state.error = error }
        }
    }

    private static func write(_ item: Item, _ reader: BlobReader, _ buffers: [BlobBuffer]) throws(VarveError)
    {
        for (extent, buffer) in zip(item.extents, buffers) {
            try reader.readUnchecked(extent.id, .data, into: buffer)
        }
        var ids = item.extents.map { _ in ContentID.zero }
        Hasher.ids(of: buffers.prefix(ids.count).map(\.bytes), .data, into: &ids)
        for (extent, (buffer, id)) in zip(item.extents, zip(buffers, ids)) {
            // It may lie whole at another place.
            if id != extent.id {
                try reader.read(extent.id, .data).withUnsafeBytes { buffer.replace(with: $0) }
            }
            guard buffer.count == extent.length else {
                throw VarveError(
                    .corrupt, "extent \(id.short) has \(buffer.count) bytes, not \(extent.length)")
            }
            try item.output.file.write(buffer.bytes, at: extent.offset)
        }
    }

    /// Creates the file with its content and attributes, durably.
    func write(_ file: Manifest.StoredFile, in tree: RootDirectory, progress: (UInt64) -> Void)
        throws(VarveError)
    {
        let output = Output(try tree.create(file.path))
        try output.file.truncate(to: file.size)
        do {
            try writeExtents(file, output, progress)
        } catch var error where error.location == nil {
            error.location = file.path
            throw error
        }
        try output.file.apply(file.attributes)
        try output.file.sync()
        progress(file.size)
    }

    private func writeExtents(_ file: Manifest.StoredFile, _ output: Output, _ progress: (UInt64) -> Void)
        throws(VarveError)
    {
        var map = try ExtentMapReader(file, reader: mapReader)
        // Whatever happens, no worker may use the file after this returns.
        defer { _ = output.state.wait { $0.pending == 0 ? true : nil } }
        while true {
            var window: [MappedExtent] = []
            while window.count < Self.window, let extent = try map.next() { window.append(extent) }
            if window.isEmpty { break }
            var rest = sortedByPlace(window)[...]
            while !rest.isEmpty {
                try cancellation.check()
                let bytes = try output.state.change { (state) throws(VarveError) in
                    if let error = state.error { throw error }
                    state.pending += 1
                    return state.bytes
                }
                _ = work.push(Item(extents: Array(rest.prefix(Hasher.batchSize)), output: output))
                rest = rest.dropFirst(Hasher.batchSize)
                progress(bytes)
            }
        }
        let error = output.state.wait { $0.pending == 0 ? .some($0.error) : nil }
        if let error { throw error }
    }

    /// In the order in which they lie in the packs, so that a disk reads forward.
    private func sortedByPlace(_ extents: [MappedExtent]) -> [MappedExtent] {
        let placed = extents.map { ($0, index.find($0.id)) }
        return placed.sorted { a, b in
            guard let left = a.1, let right = b.1 else { return a.1 != nil && b.1 == nil }
            return left.pack == right.pack ? left.offset < right.offset : left.pack < right.pack
        }.map(\.0)
    }

    func close() {
        work.close()
        for thread in threads { thread.join() }
    }
}
