import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository

/// Hashes and compresses extents on all processors; gives them back in the order in which they came.
///
/// Memory is bounded by the fixed number of jobs, each with its two buffers. The first error ends everything: every
/// later call throws it.
final class ExtentPipeline: Sendable {
    /// One extent on its way, with buffers that are used again for a later one.
    final class Job: @unchecked Sendable {
        // Sendable: a job has one owner at a time (source, worker, collector); the monitor hands it over.
        let input: UnsafeMutableRawBufferPointer
        let output: UnsafeMutableRawBufferPointer
        /// Bytes of the extent in `input`.
        var count = 0
        /// Runs on the collecting thread in place of an extent: the end of a file.
        var action: (() throws -> Void)?
        var id = ContentID.zero
        /// Nil: all zeros, or stored already.
        var header: Pack.BlobHeader?

        init(capacity: Int) {
            input = .allocate(byteCount: capacity, alignment: 4096)
            output = .allocate(byteCount: BlobEncoder.bound(capacity), alignment: 64)
        }

        deinit {
            input.deallocate()
            output.deallocate()
        }

        var extent: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: input[..<count]) }
        var blob: UnsafeRawBufferPointer? {
            header.map { UnsafeRawBufferPointer(rebasing: output[..<$0.totalLength]) }
        }
    }

    private struct State {
        var free: [Job]
        /// In order of submission: the next to be encoded, and the next to be collected.
        var submitted: [Job] = []
        var order: [Job] = []
        var finished: Set<ObjectIdentifier> = []
        var isClosed = false
        var error: (any Error)?
    }

    private let state: Monitor<State>
    private let jobCount: Int
    private let threads: [WorkerThread]

    /// - Parameters:
    ///   - contains: whether a blob is stored already; called from the workers.
    ///   - collect: called in order, on one thread.
    init(
        extentSize: Int, level: Int32, workers: Int, contains: @escaping @Sendable (ContentID) -> Bool,
        collect: @escaping @Sendable (Job) throws -> Void
    ) {
        jobCount = 8 * workers + 8
        let state = Monitor(State(free: (0..<jobCount).map { _ in Job(capacity: extentSize) }))
        self.state = state
        let encode = { @Sendable in Self.encode(state, level: level, contains: contains) }
        threads =
            (0..<workers).map { _ in WorkerThread(encode) } + [WorkerThread { Self.collect(state, collect) }]
    }

    /// A job to fill; waits until one is free.
    func acquire() throws -> Job {
        try state.wait { state in
            if let error = state.error { throw error }
            return state.free.popLast()
        }
    }

    func submit(_ job: Job) throws {
        try state.change { state in
            if let error = state.error { throw error }
            state.order.append(job)
            if job.action == nil {
                state.submitted.append(job)
            } else {
                state.finished.insert(ObjectIdentifier(job))
            }
        }
    }

    /// Waits until everything submitted was collected.
    func drain() throws {
        _ = try state.wait { state -> Bool? in
            if let error = state.error { throw error }
            return state.free.count == jobCount ? true : nil
        }
    }

    /// Ends the threads. Jobs not collected yet are dropped.
    func close() {
        state.change { $0.isClosed = true }
        for thread in threads { thread.join() }
    }

    private static func encode(_ state: Monitor<State>, level: Int32, contains: (ContentID) -> Bool) {
        let encoder = BlobEncoder(level: level)
        while true {
            let next = state.wait { state -> Job?? in
                if state.isClosed || state.error != nil { return .some(nil) }
                return state.submitted.isEmpty ? nil : .some(state.submitted.removeFirst())
            }
            guard let job = next else { return }
            do {
                try encode(job, encoder, contains)
                state.change { _ = $0.finished.insert(ObjectIdentifier(job)) }
            } catch {
                state.change { if $0.error == nil { $0.error = error } }
                return
            }
        }
    }

    private static func encode(_ job: Job, _ encoder: BlobEncoder, _ contains: (ContentID) -> Bool) throws {
        job.header = nil
        if isZero(job.extent) {
            job.id = .zero
            return
        }
        job.id = Hasher.id(of: job.extent, .data)
        if !contains(job.id) {
            job.header = try encoder.encode(job.extent, id: job.id, type: .data, into: job.output)
        }
    }

    private static func collect(_ state: Monitor<State>, _ collect: (Job) throws -> Void) {
        while true {
            let next = state.wait { state -> Job?? in
                if state.isClosed || state.error != nil { return .some(nil) }
                guard let job = state.order.first, state.finished.remove(ObjectIdentifier(job)) != nil else {
                    return nil
                }
                state.order.removeFirst()
                return .some(job)
            }
            guard let job = next else { return }
            do {
                if let action = job.action { try action() } else { try collect(job) }
                job.action = nil
                state.change { $0.free.append(job) }
            } catch {
                state.change { if $0.error == nil { $0.error = error } }
                return
            }
        }
    }
}

/// Whether all bytes are zero; eight at a time.
func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var offset = 0
    while offset + 8 <= bytes.count {
        if bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) != 0 { return false }
        offset += 8
    }
    return bytes[offset...].allSatisfy { $0 == 0 }
}
