import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveUpkeep

/// What one copy lacks of what the others have. A value: printed before anything is done.
package struct SyncPlan: Codable, Sendable {
    package var copy: String
    package var label: String
    package var path: String
    /// Sorted names.
    package var packs: [String]
    package var events: [String]
    package var manifests: [String]
    package var bytes: UInt64

    /// In the order in which they are copied.
    package var objects: [ObjectName] {
        packs.map { ObjectName(.pack, $0) } + events.map { ObjectName(.event, $0) }
            + manifests.map { ObjectName(.manifest, $0) }
    }
    package var count: Int { packs.count + events.count + manifests.count }
    package var isEmpty: Bool { count == 0 }
}

package struct SyncReport: Encodable, Sendable {
    package var copy: String
    package var label: String
    package var path: String
    package var objects = 0
    package var bytes: UInt64 = 0
    /// Objects that no source could give whole, and sources' damage on the way.
    package var findings: [Finding] = []
    /// It has everything that the copies that are there have.
    package var isComplete = false
}

/// Brings copies up to the union of what the copies that are there hold. What was copied stays; a run that was ended
/// anywhere is gone on with by the next. Nothing is deleted and nothing replaced.
package final class CopySynchronizer: Sendable {
    private let copies: RepositoryCopies
    private let cancellation: Cancellation
    private let progress: @Sendable (Progress) -> Void

    package init(
        _ copies: RepositoryCopies, cancellation: Cancellation = Cancellation(),
        progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        self.copies = copies
        self.cancellation = cancellation
        self.progress = progress
    }

    /// - Throws: `.noRepository` and others if the copy is away.
    package func plan(_ target: RepositoryCopy) throws(VarveError) -> SyncPlan {
        let repository = try target.there()
        let sources = sources(but: repository)
        func missing(_ kind: ObjectKind) throws(VarveError) -> [String] {
            var names: Set<String> = []
            for source in sources { names.formUnion(try RepositoryCopies.names(source, kind)) }
            return names.subtracting(try RepositoryCopies.names(repository, kind)).sorted()
        }
        // Manifests first: a backup may be at work, and what one needs is there before it.
        let manifests = try missing(.manifest)
        let events = try missing(.event)
        let packs = try missing(.pack)
        var plan = SyncPlan(
            copy: target.record.copy, label: target.record.label, path: repository.path, packs: packs,
            events: events, manifests: manifests, bytes: 0)
        plan.bytes = plan.objects.reduce(0) { sum, object in
            sum + (sources.lazy.compactMap { try? $0.storage.size(of: object) }.first ?? 0)
        }
        return plan
    }

    private func sources(but target: Repository) -> [Repository] {
        copies.online.compactMap(\.repository).filter { $0 !== target }
    }

    /// Packs, then the index, then manifests: each snapshot is whole when it appears.
    ///
    /// - Throws: also why the copy may not be written to (`Copy.refusal`).
    package func run(_ target: RepositoryCopy) throws(VarveError) -> SyncReport {
        let repository = try target.writable()
        let lock = try WriterLock(repository)
        defer { withExtendedLifetime(lock) {} }
        try repository.storage.removeTemporaryFiles()
        _ = try repository.storage.makeMissingDirectories()
        return try run(try plan(target), target, repository)
    }

    /// - Precondition: the caller has the copy's lock.
    func run(_ plan: SyncPlan, _ target: RepositoryCopy, _ repository: Repository) throws(VarveError)
        -> SyncReport
    {
        var report = SyncReport(copy: plan.copy, label: plan.label, path: plan.path)
        let done = (bytes: Tally(), total: plan.bytes)
        try copy(plan.packs.map { ObjectName(.pack, $0) }, to: target, done, &report)
        if !plan.packs.isEmpty {
            let index = try repository.openIndex(isWriter: true)
            try index.confirmUnlisted()
            try index.flush()
        }
        try copy(plan.events.map { ObjectName(.event, $0) }, to: target, done, &report)
        try copy(plan.manifests.map { ObjectName(.manifest, $0) }, to: target, done, &report)
        if let newest = try repository.manifests.list().last, !plan.manifests.isEmpty {
            repository.manifests.summarize(newest, try repository.manifests.read(newest))
        }
        if case .failure(let error)? = repository.updateParity(cancellation: cancellation) {
            report.findings.append(
                Finding(.directory(ObjectDirectory(.parity)), in: repository.path, error.message))
        }
        report.isComplete = report.objects == plan.count
        try updateRecord(target, repository, report)
        return report
    }

    /// The record, and what everybody else says.
    private func updateRecord(
        _ target: RepositoryCopy, _ repository: Repository, _ report: SyncReport
    ) throws(VarveError) {
        try target.identity?.check(repository.copy)
        let snapshots = try repository.manifests.list()
        let packs = UInt64(try repository.storage.list(.pack).count)
        let record = try repository.updateRecord(target.record) {
            $0.newestSnapshot = snapshots.last?.name
            $0.snapshots = UInt64(snapshots.count)
            $0.packs = packs
            if report.isComplete { $0.synchronized = $0.written }
            $0.detached = nil
        }
        var known: [CopyRecord] = []
        for other in copies.online.compactMap(\.repository) { known += try CopyRecords(other).records.values }
        try repository.learn(known + copies.copies.map(\.record))
        for other in copies.writable {
            Notices.attempt(.remark, other.record.path, Repository.unheard) {
                try other.repository?.learn([record])
            }
        }
    }

    private func copy(
        _ objects: [ObjectName], to target: RepositoryCopy, _ done: (bytes: Tally, total: UInt64),
        _ report: inout SyncReport
    ) throws(VarveError) {
        let state = Monitor(report)
        let copying = try CopyObjects(
            to: target, from: sources(but: try target.there()), cancellation: cancellation
        ) { object, source, error in
            state.change { $0.findings.append(Finding(.object(object), in: source.path, error.message)) }
        }
        try copying.copy(objects) { [progress] object, outcome in
            var bytes: UInt64 = 0
            switch outcome {
            case .copied(let count, _): bytes = count
            case .wasThere: break
            // The copy stays incomplete; the findings say why.
            case .noSourceIsGood: return
            }
            state.change {
                $0.objects += 1
                $0.bytes += bytes
            }
            progress(
                Progress(item: "\(object)", bytesDone: done.bytes.add(bytes), bytesTotal: done.total))
        }
        report = state.change { $0 }
    }
}

extension RepositoryCopy {
    /// The copy, if it is there and may be written to.
    package func writable() throws(VarveError) -> Repository {
        if let refusal { throw refusal }
        return try there()
    }

    /// The copy, or why it is away.
    package func there() throws(VarveError) -> Repository {
        if let repository { return repository }
        var error = absence ?? VarveError(.noRepository, "it is away", location: record.path)
        error.message = "the copy '\(record.label)' is away: " + error.message
        throw error
    }
}
