import Synchronization
import VarveFormat

/// A copy that lives as long as the process: for tests and for measuring without a disk.
public final class MemoryStorage: Storage {
    public let location = "memory"
    private let objects = Mutex<[ObjectName: [UInt8]]>([:])

    public init() {}

    public func publish(_ object: ObjectName, _ parts: [UnsafeRawBufferPointer]) throws {
        var bytes: [UInt8] = []
        for part in parts { bytes.append(contentsOf: part) }
        objects.withLock { $0[object] = bytes }
    }

    public func confirm(_ objects: [ObjectName]) throws {}

    public func publish(
        _ kind: ObjectKind, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> String
    ) throws -> ObjectName {
        var bytes: [UInt8] = []
        let object = ObjectName(kind, try write { bytes.append(contentsOf: $0) })
        objects.withLock { $0[object] = bytes }
        return object
    }

    public func read(
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

    public func size(of object: ObjectName) throws -> UInt64? {
        objects.withLock { $0[object].map { UInt64($0.count) } }
    }

    public func list(_ kind: ObjectKind) throws -> [String] {
        objects.withLock { $0.keys.filter { $0.kind == kind && kind.names($0.name) }.map(\.name).sorted() }
    }

    public func forEachPack(_ body: (ContentID) throws -> Void) throws {
        for name in try list(.pack) {
            if let pack = ContentID(hex: name) { try body(pack) }
        }
    }

    public func open(_ object: ObjectName) throws -> any ByteSource { BytesInMemory(try find(object)) }

    public func remove(_ object: ObjectName) throws { objects.withLock { $0[object] = nil } }

    public func setAside(_ object: ObjectName) throws { try remove(object) }

    private func find(_ object: ObjectName) throws -> [UInt8] {
        guard let bytes = objects.withLock({ $0[object] }) else { throw missing(object) }
        return bytes
    }
}
