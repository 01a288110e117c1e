import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// How the media were read, and what is known of their readings.
package struct MediaReading: Codable, Sendable {
    /// Through the page cache: no proof.
    package var isCached = false
    /// Objects by how they were read.
    package var direct = 0
    package var dropBehind = 0
    /// Bytes that this run has read, whatever they were.
    package var bytesRead: UInt64 = 0
    /// Nil for a run with a budget or by age.
    package var round: Round?
    /// What this run should have read and has not, for its budget.
    package var objectsLeft = 0
    package var bytesLeft: UInt64 = 0
    /// Of all objects of the copy, as they are now.
    package var neverRead = 0
    package var oldest: Timestamp?
    /// What the copy lies on.
    package var device: String?
    /// What is wrong with the ledger, and does not make the copy a bad one.
    package var notes: [String] = []

    package struct Round: Codable, Sendable {
        package var started: Timestamp
        /// Read by runs before that were interrupted.
        package var objectsBefore: Int
        package var bytesBefore: UInt64
    }
}

extension Verifier {
    /// Reads every stored byte from the medium and compares each object with its name. Needs no key and no index.
    ///
    /// Each reading is recorded in the copy's ledger; a run that was interrupted has recorded what it had read, and
    /// the next one goes on with the rest (`MediaOptions`, `Documentation/internals/verification.md`).
    ///
    /// - Throws: `.interrupted`; nothing for damage, which the report tells.
    package func verifyMedia(_ options: MediaOptions = MediaOptions()) throws(VarveError)
        -> VerificationReport
    {
        var reading = MediaReading()
        reading.isCached = options.isCached
        reading.device = options.isCached ? nil : Device.describe(repository.path)
        let now = Clock.now()
        let ledger = loadLedger(options, &reading)
        let inventory = try begin(ledger)
        var objects = inventory.objects
        if !options.isCached {
            // A good reading counts for the file that was there at the time: this one would never be read late enough.
            for listed in objects where listed.changed.isFuture(at: now) {
                repository.storage.renewChangeTime(of: listed.object)
            }
        }
        // What a cache gave is no reading.
        var plan = MediaPlan(
            objects, ledger: options.isCached ? Ledger() : ledger, options: options, now: now)
        reading.round = plan.round.map {
            MediaReading.Round(
                started: $0, objectsBefore: plan.before.count,
                bytesBefore: plan.before.reduce(0) { $0 + $1.size })
        }
        let run = MediaRun(self, options, round: plan.round, device: reading.device)
        // On record: the index forgets a pack that is gone.
        for missing in inventory.missing where !missing.isSetAside {
            if let object = missing.object { run.recordMissing(object, ledger) }
        }
        var left = plan.left
        var known = Set(objects.map(\.object))
        // What a backup adds meanwhile belongs to the round; one that never ends does not keep it from ending.
        for _ in 0..<16 where !plan.objects.isEmpty {
            left += run.read(plan.objects)
            guard plan.round != nil, left.isEmpty, !cancellation.isRequested else { break }
            objects = try Inventory(repository, ledger: ledger).objects
            plan.objects = objects.filter { known.insert($0.object).inserted }
        }
        let hasEnded = plan.round != nil && left.isEmpty && !cancellation.isRequested
        if let failure = run.finish(hasEnded: hasEnded) {
            reading.notes.append("what was read can't be recorded: \(failure)")
        }
        if cancellation.isRequested {
            throw VarveError(
                .interrupted,
                "interrupted; \(run.counts.objects) objects, \(ByteCount(run.counts.bytes)), were read",
                hint: options.isCached || run.writer.failure != nil
                    ? nil : "they are recorded: the same command goes on with the others")
        }
        summarize(run, ledger, objects, left, &reading)
        report.withLock { report in
            report.snapshots = objects.count { $0.object.kind == .manifest }
            report.reading = reading
        }
        return result()
    }

    private func loadLedger(_ options: MediaOptions, _ reading: inout MediaReading) -> Ledger {
        do {
            let ledger = try repository.ledger()
            if !options.isCached { reading.notes += ledger.losses }
            return ledger
        } catch {
            reading.notes.append("the ledger can't be read, so everything counts as never read: \(error)")
            return Ledger()
        }
    }

    private func summarize(
        _ run: MediaRun, _ ledger: Ledger, _ objects: [ListedObject], _ left: [ListedObject],
        _ reading: inout MediaReading
    ) {
        let counts = run.counts
        reading.direct = counts.direct
        reading.dropBehind = counts.dropBehind
        reading.bytesRead = counts.bytes
        reading.objectsLeft = left.count
        reading.bytesLeft = left.reduce(0) { $0 + $1.size }
        guard !reading.isCached else { return }
        for listed in objects {
            guard let time = run.readings[listed.object] ?? ledger.lastReading(of: listed) else {
                reading.neverRead += 1
                continue
            }
            reading.oldest = min(reading.oldest ?? time, time)
        }
    }
}
