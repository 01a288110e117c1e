import Synchronization
import VarveFormat

/// A copy that lives as long as the process: for tests and for measuring without a disk.
package final class MemoryStorage: Storage {
    package let location = "memory"
    private let objects = Mutex<[ObjectName: [UInt8]]>([:])

    package init() {}

    package func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws {
        var bytes: [UInt8] = []
        for part in parts { bytes.append(contentsOf: part) }
        objects.withLock { $0[object] = bytes }
    }

    package func confirm(_ objects: [ObjectName]) throws {}

    package func publish(
        _ kind: ObjectKind, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> String
    ) throws -> ObjectName {
        var bytes: [UInt8] = []
        let object = ObjectName(kind, try write { bytes.append(contentsOf: $0) })
        objects.withLock { $0[object] = bytes }
        return object
    }

    package func read(
        _ object: ObjectName, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        let stored = try find(object)
        guard offset < UInt64(stored.count) else { return 0 }
        let count = min(buffer.count, stored.count - Int(offset))
        stored.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)...].prefix(count)))
        }
        return count
    }

    package func size(of object: ObjectName) throws -> UInt64? {
        objects.withLock { $0[object].map { UInt64($0.count) } }
    }

    package func list(_ kind: ObjectKind) throws -> [String] {
        objects.withLock { $0.keys.filter { $0.kind == kind && kind.names($0.name) }.map(\.name).sorted() }
    }

    package func forEachPack(_ body: (ContentID) throws -> Void) throws {
        for name in try list(.pack) {
            if let pack = ContentID(hex: name) { try body(pack) }
        }
    }

    package func open(_ object: ObjectName) throws -> any ByteSource { BytesInMemory(try find(object)) }

    package func remove(_ object: ObjectName) throws { objects.withLock { $0[object] = nil } }

    package func setAside(_ object: ObjectName) throws { try remove(object) }

    private func find(_ object: ObjectName) throws -> [UInt8] {
        guard let bytes = objects.withLock({ $0[object] }) else { throw missing(object) }
        return bytes
    }
}
