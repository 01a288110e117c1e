import Synchronization
import VarveFiles
import VarveFormat

/// A copy that lives as long as the process: for tests and for measuring without a disk.
package final class MemoryStorage: CopyStorage {
    package let location = "memory"
    private struct Object {
        var bytes: [UInt8]
        var status: ObjectStatus

        init(_ bytes: [UInt8], modified: Timestamp? = nil) {
            let now = Clock.now()
            self.bytes = bytes
            status = ObjectStatus(size: UInt64(bytes.count), modified: modified ?? now, changed: now)
        }
    }

    private let objects = Mutex<[ObjectName: Object]>([:])
    private let quarantine = Mutex<[(object: ObjectName, written: Timestamp, setAside: Timestamp)]>([])
    private let documents = Mutex<[String: [UInt8]]>([:])
    private let lease = Mutex<WeakLease>(WeakLease())

    package init() {}

    package func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws(VarveError) {
        var bytes: [UInt8] = []
        for part in parts { bytes.append(contentsOf: part) }
        objects.withLock { $0[object] = Object(bytes) }
    }

    package func confirm(_ objects: [ObjectName]) throws(VarveError) {}

    package func publish(
        _ kind: ObjectKind,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> String
    ) throws(VarveError) -> ObjectName {
        var bytes: [UInt8] = []
        let object = ObjectName(kind, try write { bytes.append(contentsOf: $0) })
        objects.withLock { $0[object] = Object(bytes) }
        return object
    }

    package func read(
        _ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VarveError) -> Int {
        let stored = try find(object)
        guard offset < UInt64(stored.count) else { return 0 }
        let count = min(buffer.count, stored.count - Int(offset))
        stored.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)...].prefix(count)))
        }
        return count
    }

    package func size(of object: ObjectName) throws(VarveError) -> UInt64? {
        try status(of: object)?.size
    }

    package func list(_ kind: ObjectKind) throws(VarveError) -> [String] {
        objects.withLock { $0.keys.filter { $0.kind == kind && kind.names($0.name) }.map(\.name).sorted() }
    }

    package func forEachPack(_ body: (ContentID) throws(VarveError) -> Void) throws(VarveError) {
        for name in try list(.pack) {
            if let pack = ContentID(hex: name) { try body(pack) }
        }
    }

    package func open(_ object: ObjectName) throws(VarveError) -> any ByteSource {
        BytesInMemory(try find(object))
    }

    package func remove(_ object: ObjectName) throws(VarveError) { objects.withLock { $0[object] = nil } }

    package func setAside(_ object: ObjectName) throws(VarveError) {
        guard let status = try status(of: object) else { return }
        quarantine.withLock { $0.append((object, status.modified, Clock.now())) }
        try remove(object)
    }

    private func find(_ object: ObjectName) throws(VarveError) -> [UInt8] {
        guard let bytes = objects.withLock({ $0[object]?.bytes }) else { throw missing(object) }
        return bytes
    }
}

// MARK: What is a copy's

extension MemoryStorage {
    private final class Lease: WriterLease {}

    /// Gone with the last reference to it.
    struct WeakLease: Sendable {
        weak var held: (any WriterLease)?
    }

    private final class Staged: StagedObject {
        var bytes: [UInt8] = []
        var modified: Timestamp?

        func append(_ piece: UnsafeRawBufferPointer) { bytes.append(contentsOf: piece) }
        func startWriting(last byteCount: Int) {}
        func finish(modified: Timestamp?) { self.modified = modified }
    }

    package func readDocument(_ name: String) throws(VarveError) -> [UInt8]? {
        documents.withLock { $0[name] }
    }

    package func holds(document name: String) throws(VarveError) -> Bool {
        documents.withLock { $0[name] != nil }
    }

    package func documentNames(in directory: String) throws(VarveError) -> [String] {
        documents.withLock { documents in
            documents.keys.filter { Path.parent($0) == directory }.map(Path.name).sorted()
        }
    }

    package func replaceDocument(_ name: String, with bytes: [UInt8]) throws(VarveError) {
        documents.withLock { $0[name] = bytes }
    }

    package func removeDocument(_ name: String) throws(VarveError) { documents.withLock { $0[name] = nil } }

    package func setAside(document name: String) throws(VarveError) { try removeDocument(name) }

    package func status(of object: ObjectName) throws(VarveError) -> ObjectStatus? {
        objects.withLock { $0[object]?.status }
    }

    package func listing(_ kind: ObjectKind) throws(VarveError) -> (objects: [String], strangers: [String]) {
        (try list(kind), [])
    }

    package func lost(_ kind: ObjectKind) throws(VarveError) -> [(
        object: ObjectName, written: Timestamp, setAside: Timestamp
    )] {
        var lost: [(object: ObjectName, written: Timestamp, setAside: Timestamp)] = []
        for entry in quarantine.withLock({ $0 }) where entry.object.kind == kind {
            if try size(of: entry.object) == nil { lost.append(entry) }
        }
        return lost
    }

    package func renewChangeTime(of object: ObjectName) {
        objects.withLock { $0[object]?.status.changed = Clock.now() }
    }

    package func path(of object: ObjectName) -> String { "\(location)/\(object)" }

    package func stage() throws(VarveError) -> any StagedObject { Staged() }

    package func publish(
        _ staged: [(object: ObjectName, file: any StagedObject)], replacing: Set<ObjectName>
    ) throws(VarveError) -> [Bool] {
        try staged.map { (object, file) throws(VarveError) in
            guard let file = file as? Staged else { preconditionFailure("staged elsewhere") }
            if replacing.contains(object) { try setAside(object) }
            guard try size(of: object) == nil else { return false }
            objects.withLock { $0[object] = Object(file.bytes, modified: file.modified) }
            return true
        }
    }

    package func passingCache() throws(VarveError) -> any CopyStorage { self }

    package func acquireLease(as holder: String) throws(VarveError) -> any WriterLease {
        let new = Lease()
        let isFree = lease.withLock { lease in
            guard lease.held == nil else { return false }
            lease.held = new
            return true
        }
        guard isFree else { throw VarveError(.locked, "somebody else is writing", location: location) }
        return new
    }

    package var isLeased: Bool { lease.withLock { $0.held != nil } }

    package func removeTemporaryFiles() throws(VarveError) {}

    package func makeMissingDirectories() throws(VarveError) -> [ObjectDirectory] { [] }
}
