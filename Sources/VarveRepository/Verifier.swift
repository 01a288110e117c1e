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

    public init(object: String, problem: String, range: Range<UInt64>? = nil) {
        self.object = object
        self.problem = problem
        self.range = range
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
    /// Of the media alone.
    public var reading: MediaReading?

    public var isGood: Bool { findings.isEmpty && losses.isEmpty }
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
        let problem = (error as? VarveError)?.message ?? "\(error)"
        report.withLock { $0.findings.append(Finding(object: object, problem: problem, range: range)) }
    }

    func note(_ object: String, _ problem: String, range: Range<UInt64>? = nil) {
        report.withLock { $0.findings.append(Finding(object: object, problem: problem, range: range)) }
    }

    /// Every object; what has no object's name is none (`ObjectKind.names`). Manifests before packs: a backup may be at work,
    /// and what a snapshot needs is there before its manifest.
    func listObjects() throws -> [ListedObject] {
        for directory in try repository.storage.missingDirectories() {
            note(directory, "the directory is missing, and with it whatever was in it")
        }
        for finding in repository.identityDamage { note(finding.object, finding.problem) }
        do { _ = try repository.parity() } catch { note(ParityDescription.fileName, error) }
        var objects: [ListedObject] = []
        for kind in [ObjectKind.manifest, .event, .summary, .index, .filter, .parity, .drill, .pack] {
            for name in try repository.storage.list(kind) {
                let object = ObjectName(kind, name)
                // One that went meanwhile was a cache: a writer has merged it into another.
                guard let status = try FileStatus.of(repository.storage.path(of: object)) else { continue }
                objects.append(ListedObject(object: object, size: status.size, changed: status.changed))
            }
        }
        return objects
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
        report.findings.sort {
            ($0.object, $0.range?.lowerBound ?? 0) < ($1.object, $1.range?.lowerBound ?? 0)
        }
        report.losses.sort()
        return report
    }
}

final class Counters: Sendable {
    let next = Atomic<Int>(0)
    let done = Atomic<UInt64>(0)
}
