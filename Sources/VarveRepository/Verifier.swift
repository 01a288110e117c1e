import Synchronization
import VarveFiles
import VarveFormat
import VarveStorage

/// Something a verification found wrong.
public struct Finding: Codable, Hashable, Sendable {
    /// `packs/<name>`, `manifests/<name>`, …, as it lies in the repository.
    public var object: String
    public var problem: String
    /// Byte offsets in the object, where they are known.
    public var range: Range<UInt64>?
    public var kind: Kind

    public enum Kind: String, Codable, Sendable {
        /// Something there names it, and it is not there.
        case missing
        case damaged
        /// It can't be read now, and nothing is known against it: rights, memory, descriptors.
        case unreadable
    }

    public init(object: String, problem: String, range: Range<UInt64>? = nil, kind: Kind = .damaged) {
        self.object = object
        self.problem = problem
        self.range = range
        self.kind = kind
    }

    init(of object: String, _ error: any Error, range: Range<UInt64>? = nil) {
        let known = error as? VarveError
        let isUnreadable = known.map { $0.isOfTheMoment } ?? false
        self.init(
            object: object, problem: known?.message ?? "\(error)", range: range,
            kind: isUnreadable ? .unreadable : .damaged)
    }

    /// What is missing comes first, objects before directories: that is what the rest follows from.
    var order: (Int, String, UInt64) {
        let rank =
            switch kind {
            case .missing: object.utf8.count < ContentID.byteCount ? 1 : 0
            case .damaged: 2
            case .unreadable: 3
            }
        return (rank, object, range?.lowerBound ?? 0)
    }
}

/// What a damaged repository can no longer give back.
public struct Loss: Codable, Hashable, Sendable, Comparable {
    public var snapshot: String
    public var path: String
    /// Bytes of the file; nil if the whole file or snapshot is affected.
    public var range: Range<UInt64>?

    public static func < (a: Loss, b: Loss) -> Bool {
        (a.snapshot, a.path, a.range?.lowerBound ?? 0) < (b.snapshot, b.path, b.range?.lowerBound ?? 0)
    }
}

public struct VerificationReport: Codable, Sendable {
    public var objects = 0
    public var bytes: UInt64 = 0
    public var blobs = 0
    public var snapshots = 0
    public var findings: [Finding] = []
    public var losses: [Loss] = []
    /// Blobs that are built on ones that are not there, and that no snapshot needs: no damage.
    public var baseless = 0
    /// Files that no object is called like: nobody's loss.
    public var strangers: [String] = []
    /// Packs that are gone, and that no snapshot needs.
    public var unneeded: [String] = []
    /// Packs and manifests under no parity, though this copy keeps it: they are whole, and not yet protected.
    public var uncovered: [String] = []
    /// Of the media alone.
    public var reading: MediaReading?

    public var isGood: Bool { findings.isEmpty && losses.isEmpty }
    /// Nothing is wrong but that something can't be read now.
    public var isUnreadable: Bool {
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
public final class Verifier: Sendable {
    let repository: Repository
    let isCancelled: @Sendable () -> Bool
    let progress: @Sendable (_ object: String, _ bytesDone: UInt64, _ bytesTotal: UInt64) -> Void
    let report = Mutex(VerificationReport())
    private let noted = Mutex<Set<Finding>>([])
    /// Snapshots whose backups met damage in the repository, and that are whole.
    let wholeAgain = Mutex<[SnapshotReference]>([])

    public init(
        _ repository: Repository, isCancelled: @escaping @Sendable () -> Bool = { false },
        progress: @escaping @Sendable (_ object: String, _ bytesDone: UInt64, _ bytesTotal: UInt64) -> Void =
            { _, _, _ in }
    ) {
        self.repository = repository
        self.isCancelled = isCancelled
        self.progress = progress
    }

    func note(_ object: String, _ error: any Error, range: Range<UInt64>? = nil) {
        note(Finding(of: object, error, range: range))
    }

    func note(_ object: String, _ problem: String, range: Range<UInt64>? = nil) {
        note(Finding(object: object, problem: problem, range: range))
    }

    /// Once, however often it is come upon.
    func note(_ finding: Finding) {
        report.withLock { if noted.withLock({ $0.insert(finding).inserted }) { $0.findings.append(finding) } }
    }

    /// What is there, for a new report.
    func begin(_ ledger: Ledger) throws -> Inventory {
        let inventory = try Inventory(repository, ledger: ledger)
        noted.withLock { $0 = [] }
        report.withLock { report in
            report = VerificationReport()
            report.strangers = inventory.strangers
            report.uncovered = inventory.uncovered.map { "\($0)" }
        }
        for finding in inventory.findings { note(finding) }
        return inventory
    }

    /// Runs `body` for each object on several processors; reports progress in bytes.
    func forEach(
        _ objects: [ListedObject], _ body: @escaping @Sendable (ObjectName, UInt64) -> Void
    ) throws {
        let total = objects.reduce(0) { $0 + $1.size }
        let counters = Counters()
        let workers = (0..<Host.workers).map { _ in
            WorkerThread { [self] in
                while !isCancelled() {
                    let index = counters.next.wrappingAdd(1, ordering: .relaxed).oldValue
                    guard index < objects.count else { return }
                    let listed = objects[index]
                    body(listed.object, listed.size)
                    let bytes = counters.done.wrappingAdd(listed.size, ordering: .relaxed).newValue
                    progress("\(listed.object)", bytes, total)
                }
            }
        }
        for worker in workers { worker.join() }
        if isCancelled() { throw VarveError(.interrupted, "interrupted") }
    }

    func result() -> VerificationReport {
        var report = report.withLock { $0 }
        report.findings.sort { $0.order < $1.order }
        report.losses.sort()
        return report
    }
}

final class Counters: Sendable {
    let next = Atomic<Int>(0)
    let done = Atomic<UInt64>(0)
}
