import Synchronization
import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// One reading of many objects by several threads: hashes, compares, notes findings, records.
final class MediaRun: Sendable {
    struct Counts {
        var objects = 0
        var direct = 0
        var dropBehind = 0
        var bytes: UInt64 = 0
    }

    /// Slower than this one thread hashes one object: what reads side by side would only have more under way, and
    /// lose it, when it is interrupted.
    private static let slowRate: UInt64 = 100_000_000

    /// One more than processors: a medium gives more when several ask.
    private static var workers: Int { Host.workers + 1 }

    private let verifier: Verifier
    private let options: MediaOptions
    private let round: Timestamp?
    private let device: String?
    private let deadline: UInt64?
    private let examiner: MediaExaminer
    let throttle: Throttle
    let writer: LedgerWriter
    private let state = Mutex((counts: Counts(), readings: [ObjectName: Timestamp]()))

    init(_ verifier: Verifier, _ options: MediaOptions, round: Timestamp?, device: String?) {
        let repository = verifier.repository
        self.verifier = verifier
        self.options = options
        self.round = round
        self.device = device
        deadline = options.maximumDuration.map { Clock.monotonic() + UInt64(min($0, 1e9) * 1e9) }
        throttle = Throttle(rate: options.rate, cancellation: verifier.cancellation)
        examiner = MediaExaminer(repository.storage, throttle)
        writer = LedgerWriter(repository.storage, repository: repository.id, copy: repository.copyID)
    }

    var counts: Counts { state.withLock { $0.counts } }
    /// When each was read by this run.
    var readings: [ObjectName: Timestamp] { state.withLock { $0.readings } }

    /// - Returns: what the time was too short for.
    func read(_ objects: [ListedObject]) -> [ListedObject] {
        let groups = groups(of: objects)
        let total = objects.reduce(0) { $0 + $1.size }
        let done = Tally()
        let skipped = Monitor<[ListedObject]>([])
        ObjectWorkers.forEach(groups, threads: Self.workers, verifier.cancellation) { [self] group in
            if let deadline, Clock.monotonic() >= deadline {
                skipped.change { $0 += group }
                return
            }
            read(group: group)
            guard let first = group.first else { return }
            let bytes = done.add(group.reduce(0) { $0 + $1.size })
            verifier.progress(
                Progress(item: "\(first.object)", bytesDone: bytes, bytesTotal: total))
        }
        return skipped.change { $0 }
    }

    /// Objects of like size are hashed side by side, so far as that does not change the order by much; as many groups
    /// for each worker, with as many bytes in them.
    private func groups(of objects: [ListedObject]) -> [[ListedObject]] {
        let lanes = options.rate.map { $0 < Self.slowRate } == true ? 1 : Hasher.lanes
        let window = lanes * Self.workers * 4
        return stride(from: 0, to: objects.count, by: window).flatMap { start in
            let near = objects[start..<min(start + window, objects.count)].sorted { $0.size > $1.size }
            let rounds = (near.count + lanes * Self.workers - 1) / (lanes * Self.workers)
            let count = min(rounds * Self.workers, near.count)
            return (0..<count).map { group in stride(from: group, to: near.count, by: count).map { near[$0] }
            }
        }
    }

    private func read(group: [ListedObject]) {
        let storage = verifier.repository.storage
        let sources = group.map { listed in
            Result { () throws(VarveError) in
                options.isCached ? storage.openCached(listed.object) : try storage.openMedia(listed.object)
            }
        }
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: group.count * MediaPipe.pieceSize, alignment: 4096)
        defer { memory.deallocate() }
        let pipe = MediaPipe(sources, sizes: group.map(\.size), throttle: throttle)
        let names = pipe.whileReading {
            Hasher.names(ofObjects: group.map(\.size), memory: memory) {
                (index, offset, buffer) throws(VarveError) in
                try pipe.take(index, at: offset, into: buffer)
                writer.writeIfDue()
            }
        }
        for (index, name) in names.enumerated() {
            judge(group[index], name, method: (try? sources[index].get())?.method ?? .direct)
        }
        writer.writeIfDue()
    }

    private func judge(
        _ listed: ListedObject, _ name: Result<ContentID, VarveError>, method: LedgerRow.Method
    ) {
        let (object, size) = (listed.object, listed.size)
        do {
            let isGood = try name.get() == object.contentHash
            guard isGood else { return condemn(listed, .mismatch, method, examiner.mismatch(object, size)) }
            accept(listed, method)
        } catch let error where error.code == .interrupted {
            // Not read to its end: as if it had not been begun.
        } catch let error where error.code == .missing {
            // A backup that is at work has merged a cache into another.
            if object.kind.isCache { return }
            condemn(listed, .missing, method, .init(problem: error.message, ranges: []))
        } catch let error where error.code == ShortRead.code {
            condemn(listed, .short, method, .init(problem: error.message, ranges: []))
        } catch let error where error.isOfAnotherKind || error.code == .corrupt {
            condemn(listed, .unreadable, method, .init(problem: error.message, ranges: []))
        } catch {
            readAgain(listed, method, error)
        }
    }

    private func accept(_ listed: ListedObject, _ method: LedgerRow.Method) {
        record(listed, .good, method, [])
        verifier.report.withLock {
            $0.objects += 1
            $0.bytes += listed.size
        }
    }

    /// What failed once may have been the moment's fault: only what fails again, and because of the disk, is damage.
    private func readAgain(_ listed: ListedObject, _ method: LedgerRow.Method, _ error: VarveError) {
        switch examiner.readAgain(listed.object, listed.size, error) {
        case .good: accept(listed, method)
        case .bad(let examination): condemn(listed, .unreadable, method, examination)
        case .unread(let error): verifier.note(listed.object, error)
        case .interrupted: break
        }
    }

    private func condemn(
        _ listed: ListedObject, _ result: LedgerRow.Verdict, _ method: LedgerRow.Method,
        _ examination: MediaExaminer.Examination?
    ) {
        // Interrupted in the middle of looking closer: what is known is told all the same.
        let ranges = examination?.ranges ?? []
        let problem = examination?.problem ?? "it is damaged; where was not looked at"
        if ranges.isEmpty { verifier.note(listed.object, problem) }
        for range in ranges { verifier.note(listed.object, problem, range: range) }
        record(listed, result, method, ranges)
    }

    /// That an object is not there, once: until it is read, or nobody needs it.
    func recordMissing(_ object: ObjectName, _ ledger: Ledger) {
        guard !options.isCached, object.kind == .pack, let subject = object.subject,
            ledger.rows(of: object).first?.result != .missing
        else { return }
        let row = LedgerRow(
            kind: subject.kind, hash: subject.hash, method: .direct, result: .missing, time: Clock.now(),
            round: nil, size: 0)
        writer.add([row], bytes: 0)
    }

    private func record(
        _ listed: ListedObject, _ result: LedgerRow.Verdict, _ method: LedgerRow.Method,
        _ bad: [Range<UInt64>]
    ) {
        let time = Clock.now()
        state.withLock { state in
            state.counts.objects += 1
            state.counts.bytes += listed.size
            state.counts.direct += method == .direct ? 1 : 0
            state.counts.dropBehind += method == .dropBehind ? 1 : 0
            state.readings[listed.object] = time
        }
        guard !options.isCached, let subject = listed.object.subject else { return }
        let row = LedgerRow(
            kind: subject.kind, hash: subject.hash, method: method, result: result, time: time, round: round,
            size: listed.size, device: device)
        let rows = bad.map { range in
            var row = row
            row.bad = range
            return row
        }
        writer.add(rows.isEmpty ? [row] : rows, bytes: listed.size)
    }

    /// Writes what is not written yet.
    ///
    /// - Returns: why it can't be.
    func finish(hasEnded: Bool) -> VarveError? {
        guard !options.isCached else { return nil }
        if hasEnded, let round {
            writer.add(
                [
                    LedgerRow(
                        kind: .roundEnd, hash: .zero, method: .direct, result: .good, time: Clock.now(),
                        round: round, size: 0, device: device)
                ], bytes: 0)
        }
        writer.write()
        return writer.failure
    }
}
