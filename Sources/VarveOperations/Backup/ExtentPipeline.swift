import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// Hashes and compresses extents on several processors; gives them back in the order in which they came.
///
/// Memory is bounded by the fixed number of batches, each with its buffers. The first error ends everything: every
/// later call throws it.
final class ExtentPipeline: Sendable {
    /// Extents of one file, one behind the other, on their way; the buffers are used again for later ones.
    final class Batch: @unchecked Sendable {
        // Sendable: a batch has one owner at a time (source, worker, collector); the monitor hands it over.

        /// As many as the widest hash kernel takes at once.
        static let capacity = Hasher.batchSize

        let extentSize: Int
        private let input: UnsafeMutableRawBufferPointer
        private let output: UnsafeMutableRawBufferPointer
        /// Full extents, and bytes of one more at the end of a file.
        var fullCount = 0
        var rest = 0
        /// Runs on the collecting thread after the extents: the end of the file.
        var atEnd: (() throws(VarveError) -> Void)?
        /// What the parent snapshot has at the place of each extent.
        var parents: [ContentID?] = []
        var parentSnapshot: SnapshotReference?
        /// One for each extent, once it went through a worker.
        var outcomes: [ExtentWorker.EncodedExtent] = []
        /// Why one of the parents could not be read.
        var damage: VarveError?

        init(extentSize: Int) {
            self.extentSize = extentSize
            input = .allocate(byteCount: extentSize * Self.capacity, alignment: 4096)
            output = .allocate(byteCount: BlobEncoder.bound(extentSize) * Self.capacity, alignment: 64)
        }

        deinit {
            input.deallocate()
            output.deallocate()
        }

        var count: Int { fullCount + (rest > 0 ? 1 : 0) }
        var isFull: Bool { fullCount == Self.capacity }

        /// The buffer of the extent being filled.
        var current: UnsafeMutableRawBufferPointer {
            UnsafeMutableRawBufferPointer(
                rebasing: input[fullCount * extentSize..<(fullCount + 1) * extentSize])
        }

        func extent(_ index: Int) -> UnsafeRawBufferPointer {
            let length = index < fullCount ? extentSize : rest
            return UnsafeRawBufferPointer(rebasing: input[index * extentSize..<index * extentSize + length])
        }

        /// Where the blob of an extent goes.
        func room(_ index: Int) -> UnsafeMutableRawBufferPointer {
            let length = BlobEncoder.bound(extentSize)
            return UnsafeMutableRawBufferPointer(rebasing: output[index * length..<(index + 1) * length])
        }

        /// The encoded blob of an extent that has a header.
        func blob(_ index: Int, _ header: Pack.BlobHeader) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room(index)).prefix(header.totalLength))
        }

        fileprivate func reset() {
            fullCount = 0
            rest = 0
            atEnd = nil
            parents.removeAll(keepingCapacity: true)
            outcomes.removeAll(keepingCapacity: true)
            parentSnapshot = nil
            damage = nil
        }
    }

    private struct State {
        var free: [Batch]
        /// In order of submission: the next to be encoded, and the next to be collected.
        var submitted: [Batch] = []
        var order: [Batch] = []
        var finished: Set<ObjectIdentifier> = []
        var isClosed = false
        var error: VarveError?
    }

    private let state: Monitor<State>
    private let batchCount: Int
    private let threads: [WorkerThread]

    /// What the workers go by.
    struct Context: Sendable {
        var extentSize: Int
        var level: Int32
        var index: RepositoryIndex
        var storage: any Storage
        var policy = DeltaPolicy()
    }

    /// - Parameter collect: called in order, on one thread.
    /// - Throws: `.system` where not even two threads can be had.
    init(
        _ context: Context, workers: Int, collect: @escaping @Sendable (Batch) throws(VarveError) -> Void
    ) throws(VarveError) {
        // One to fill, one to collect, one in hand for whoever is first; at 4 MiB each, more would not fit the budget.
        batchCount = workers + 3
        let state = Monitor(State(free: (0..<batchCount).map { _ in Batch(extentSize: context.extentSize) }))
        self.state = state
        let collector = try WorkerThread { Self.collect(state, collect) }
        do {
            threads = try WorkerThread.several(workers) { Self.encode(state, context) } + [collector]
        } catch {
            state.change { $0.isClosed = true }
            collector.join()
            throw error
        }
    }

    /// A batch to fill; waits until one is free.
    func acquire() throws(VarveError) -> Batch {
        try state.wait { (state) throws(VarveError) in
            if let error = state.error { throw error }
            return state.free.popLast()
        }
    }

    func submit(_ batch: Batch) throws(VarveError) {
        try state.change { (state) throws(VarveError) in
            if let error = state.error { throw error }
            state.order.append(batch)
            state.submitted.append(batch)
        }
    }

    /// Waits until everything submitted was collected.
    func drain() throws(VarveError) {
        _ = try state.wait { (state) throws(VarveError) -> Bool? in
            if let error = state.error { throw error }
            return state.free.count == batchCount ? true : nil
        }
    }

    /// Ends the threads. Batches not collected yet are dropped.
    func close() {
        state.change { $0.isClosed = true }
        for thread in threads { thread.join() }
    }

    private static func encode(_ state: Monitor<State>, _ context: Context) {
        let worker = ExtentWorker(context)
        while true {
            let next = state.wait { state -> Batch?? in
                if state.isClosed || state.error != nil { return .some(nil) }
                return state.submitted.isEmpty ? nil : .some(state.submitted.removeFirst())
            }
            guard let batch = next else { return }
            do {
                try worker.encode(batch)
                state.change { _ = $0.finished.insert(ObjectIdentifier(batch)) }
            } catch {
                state.change { if $0.error == nil { $0.error = error } }
                return
            }
        }
    }

    private static func collect(_ state: Monitor<State>, _ collect: (Batch) throws(VarveError) -> Void) {
        while true {
            let next = state.wait { state -> Batch?? in
                if state.isClosed || state.error != nil { return .some(nil) }
                guard let batch = state.order.first, state.finished.remove(ObjectIdentifier(batch)) != nil
                else {
                    return nil
                }
                state.order.removeFirst()
                return .some(batch)
            }
            guard let batch = next else { return }
            do {
                try collect(batch)
                try batch.atEnd?()
                batch.reset()
                state.change { $0.free.append(batch) }
            } catch {
                state.change { if $0.error == nil { $0.error = error } }
                return
            }
        }
    }
}
