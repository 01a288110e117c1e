import Synchronization
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage

/// What a damaged repository can no longer give back.
package struct Loss: Codable, Hashable, Sendable, Comparable {
    package var snapshot: String
    package var path: String
    /// Bytes of the file; nil if the whole file or snapshot is affected.
    package var range: Range<UInt64>?

    package static func < (a: Loss, b: Loss) -> Bool {
        (a.snapshot, a.path, a.range?.lowerBound ?? 0) < (b.snapshot, b.path, b.range?.lowerBound ?? 0)
    }
}

package struct VerificationReport: Encodable, Sendable {
    package var objects = 0
    package var bytes: UInt64 = 0
    package var blobs = 0
    package var snapshots = 0
    package var findings: [Finding] = []
    package var losses: [Loss] = []
    /// Blobs that are built on ones that are not there, and that no snapshot needs: no damage.
    package var baseless = 0
    /// Files that no object is called like: nobody's loss.
    package var strangers: [String] = []
    /// Packs that are gone, and that no snapshot needs.
    package var unneeded: [ObjectName] = []
    /// Packs and manifests under no parity, though this copy keeps it: they are whole, and not yet protected.
    package var uncovered: [ObjectName] = []
    /// Of the media alone.
    package var reading: MediaReading?

    package var isGood: Bool { findings.isEmpty && losses.isEmpty }
    /// Nothing is wrong but that something can't be read now.
    package var isUnreadable: Bool {
        !isGood && losses.isEmpty && findings.allSatisfy { $0.kind == .unreadable }
    }
}

struct ListedObject: Sendable {
    var object: ObjectName
    var size: UInt64
    /// Since when the file has been there, its `ctime`: what was read before was another one.
    var changed = Timestamp(seconds: 0)
}

/// Proves that what is stored can be read.
///
/// A finding is never thrown: everything is looked at, and the report lists all of it.
package final class Verifier: Sendable {
    let repository: Repository
    let cancellation: Cancellation
    let progress: @Sendable (Progress) -> Void
    let report = Mutex(VerificationReport())
    private let noted = Mutex<Set<Finding>>([])
    struct WholeSnapshot {
        var reference: SnapshotReference
        /// Its backup met damage in the repository.
        var wasTainted: Bool
    }

    /// Snapshots that lack nothing, and whose source was well.
    let wholeSnapshots = Mutex<[WholeSnapshot]>([])

    package init(
        _ repository: Repository, cancellation: Cancellation = Cancellation(),
        progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        self.repository = repository
        self.cancellation = cancellation
        self.progress = progress
    }

    func note(_ object: ObjectName, _ error: any Error, range: Range<UInt64>? = nil) {
        note(Finding(.object(object), error, range: range))
    }

    func note(_ object: ObjectName, _ problem: String, range: Range<UInt64>? = nil) {
        note(Finding(.object(object), problem, range: range))
    }

    /// Once, however often it is come upon.
    func note(_ finding: Finding) {
        report.withLock { if noted.withLock({ $0.insert(finding).inserted }) { $0.findings.append(finding) } }
    }

    /// What is there, for a new report.
    func begin(_ ledger: Ledger) throws(VarveError) -> Inventory {
        let inventory = try Inventory(repository, ledger: ledger)
        noted.withLock { $0 = [] }
        report.withLock { report in
            report = VerificationReport()
            report.strangers = inventory.strangers
            report.uncovered = inventory.uncovered
        }
        for finding in inventory.findings { note(finding) }
        return inventory
    }

    /// Runs `body` for each object on several processors; reports progress in bytes.
    func forEach(
        _ objects: [ListedObject], _ body: @escaping @Sendable (ObjectName, UInt64) -> Void
    ) throws(VarveError) {
        let total = objects.reduce(0) { $0 + $1.size }
        let done = Tally()
        ObjectWorkers.forEach(objects, threads: Host.workers, cancellation) { [progress] listed in
            body(listed.object, listed.size)
            progress(
                Progress(item: "\(listed.object)", bytesDone: done.add(listed.size), bytesTotal: total))
        }
        try cancellation.check()
    }

    func result() -> VerificationReport {
        var report = report.withLock { $0 }
        report.findings.sort { $0.order < $1.order }
        report.losses.sort()
        return report
    }
}
