import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// Collects blobs into packs and publishes full ones on a thread of its own, two buffers in turn.
///
/// Which blob lands in which pack depends only on the order of `append`, never on timing. Used by one thread.
package final class PackWriter {
    /// A pack being filled.
    private final class Buffer {
        let bytes: UnsafeMutableRawBufferPointer
        var count = 0
        var entries: [Pack.Entry] = []
        /// Of what is in it. Not left to the publisher, so that the disk has all of the time that the next pack takes.
        var hasher = Hasher()

        init(capacity: Int) { bytes = .allocate(byteCount: capacity, alignment: 4096) }
        deinit { bytes.deallocate() }

        func begin(_ header: [UInt8]) {
            count = 0
            entries = []
            hasher = Hasher()
            header.withUnsafeBytes { append($0) }
        }

        func append(_ source: UnsafeRawBufferPointer) {
            UnsafeMutableRawBufferPointer(rebasing: bytes[count...]).copyMemory(from: source)
            count += source.count
            hasher.update(source)
        }
    }

    /// A pack that is durable.
    package struct Published: Sendable {
        package var pack: ContentID
        package var entries: [Pack.Entry]
    }

    private struct State {
        var free: [Buffer]
        var full: [Buffer] = []
        var isPublishing = false
        var isClosed = false
        var published: [Published] = []
        var error: VarveError?
    }

    private let header: [UInt8]
    private let packSize: Int
    private let state: Monitor<State>
    private var publisher: WorkerThread?
    private var current: Buffer?

    /// - Parameter largestBlob: no appended blob, header included, is longer.
    /// - Throws: `.system` where no thread can be had.
    package init(
        storage: any Storage, repository: RepositoryID, packSize: Int, largestBlob: Int
    ) throws(VarveError) {
        header = Pack.Header(repository: repository).encoded
        self.packSize = packSize
        // `append` counts 80 bytes of directory for each blob, so only the last blob goes beyond the target size.
        let capacity = packSize + largestBlob + (4 << 10)
        let state = Monitor(State(free: [Buffer(capacity: capacity), Buffer(capacity: capacity)]))
        self.state = state
        publisher = try WorkerThread { Self.publish(storage: storage, state) }
    }

    /// Appends a blob as `BlobEncoder` wrote it. Waits while both buffers are on their way to the storage.
    package func append(_ header: Pack.BlobHeader, _ blob: UnsafeRawBufferPointer) throws(VarveError) {
        let buffer = if let current { current } else { try startPack() }
        buffer.entries.append(Pack.Entry(offset: UInt32(buffer.count), header: header))
        buffer.append(blob)
        // The directory grows with the blobs: tiny blobs must not make it outgrow the buffer.
        if buffer.count + buffer.entries.count * 80 >= packSize { finishPack() }
    }

    /// Packs that became durable since the last call.
    package func takePublished() throws(VarveError) -> [Published] {
        try state.change { (state) throws(VarveError) in try Self.take(&state) }
    }

    /// Publishes what is left and waits until everything is durable.
    package func finish() throws(VarveError) -> [Published] {
        finishPack()
        return try state.wait { (state) throws(VarveError) in
            if state.error == nil && (!state.full.isEmpty || state.isPublishing) { return nil }
            return try Self.take(&state)
        }
    }

    /// Ends the thread; what was not published is dropped.
    package func close() {
        state.change { $0.isClosed = true }
        publisher?.join()
        publisher = nil
    }

    private static func take(_ state: inout State) throws(VarveError) -> [Published] {
        if let error = state.error { throw error }
        defer { state.published = [] }
        return state.published
    }

    private func startPack() throws(VarveError) -> Buffer {
        let buffer = try state.wait { (state) throws(VarveError) -> Buffer? in
            if let error = state.error { throw error }
            return state.free.popLast()
        }
        buffer.begin(header)
        current = buffer
        return buffer
    }

    private func finishPack() {
        guard let buffer = current else { return }
        current = nil
        let end = PackDirectory(entries: buffer.entries).encoded(at: buffer.count)
        end.withUnsafeBytes { buffer.append($0) }
        state.change { $0.full.append(buffer) }
    }

    private static func publish(storage: any Storage, _ state: Monitor<State>) {
        while true {
            let next = state.wait { state -> Buffer?? in
                if state.isClosed { return .some(nil) }
                if state.full.isEmpty { return nil }
                state.isPublishing = true
                return .some(state.full.removeFirst())
            }
            guard let buffer = next else { return }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer.bytes[..<buffer.count])
            let pack = buffer.hasher.finish()
            let result = Result { () throws(VarveError) in
                try storage.publish(ObjectName(.pack, pack), [bytes])
            }
            state.change { state in
                state.isPublishing = false
                switch result {
                case .success:
                    state.published.append(Published(pack: pack, entries: buffer.entries))
                    state.free.append(buffer)
                case .failure(let error): state.error = error
                }
            }
        }
    }
}
