import Synchronization
import VarveFormat
import VarveStorage

/// Counts what is read and what is listed, and fails reads of opened objects where it is told to.
package final class WatchedStorage: Storage {
    package struct Counts: Sendable {
        package var reads = 0
        /// Of 4 KiB.
        package var pages = 0
        package var lists = 0
    }

    private let storage: any Storage
    private let isUnreadable: @Sendable (ObjectName, _ offset: Int) -> Bool
    private let counts = Mutex<[ObjectKind: Counts]>([:])

    package init(
        _ storage: any Storage,
        isUnreadable: @escaping @Sendable (ObjectName, Int) -> Bool = { _, _ in false }
    ) {
        self.storage = storage
        self.isUnreadable = isUnreadable
    }

    package func reset() { counts.withLock { $0 = [:] } }
    package func counts(_ kind: ObjectKind) -> Counts { counts.withLock { $0[kind] ?? Counts() } }

    package func open(_ object: ObjectName) throws(VarveError) -> any ByteSource {
        WatchedSource(source: try storage.open(object)) { [self] (offset, length) throws(VarveError) in
            guard !isUnreadable(object, offset) else {
                throw VarveError(.system, "\(object) can't be read at \(offset)")
            }
            note(object, offset, length)
        }
    }

    package func list(_ kind: ObjectKind) throws(VarveError) -> [String] {
        counts.withLock { $0[kind, default: Counts()].lists += 1 }
        return try storage.list(kind)
    }

    package func forEachPack(_ body: (ContentID) throws(VarveError) -> Void) throws(VarveError) {
        counts.withLock { $0[.pack, default: Counts()].lists += 1 }
        try storage.forEachPack(body)
    }

    package var location: String { storage.location }

    package func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws(VarveError) {
        try storage.publish(object, parts)
    }

    package func confirm(_ objects: [ObjectName]) throws(VarveError) { try storage.confirm(objects) }

    package func publish(
        _ kind: ObjectKind,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> String
    ) throws(VarveError) -> ObjectName { try storage.publish(kind, write: write) }

    package func replace(
        _ object: ObjectName,
        write: (_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) -> Void
    ) throws(VarveError) { try storage.replace(object, write: write) }

    package func read(
        _ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VarveError) -> Int {
        note(object, Int(offset), buffer.count)
        return try storage.read(object, at: offset, into: buffer)
    }

    private func note(_ object: ObjectName, _ offset: Int, _ length: Int) {
        counts.withLock {
            $0[object.kind, default: Counts()].reads += 1
            $0[object.kind, default: Counts()].pages += (offset + length + 4095) / 4096 - offset / 4096
        }
    }

    package func size(of object: ObjectName) throws(VarveError) -> UInt64? { try storage.size(of: object) }
    package func remove(_ object: ObjectName) throws(VarveError) { try storage.remove(object) }
    package func setAside(_ object: ObjectName) throws(VarveError) { try storage.setAside(object) }
}

private struct WatchedSource: ByteSource {
    let source: any ByteSource
    let watch: @Sendable (_ offset: Int, _ length: Int) throws(VarveError) -> Void

    var byteCount: Int { source.byteCount }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError) {
        try watch(offset, buffer.count)
        try source.read(at: offset, into: buffer)
    }
}
