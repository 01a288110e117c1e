import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

extension Verifier {
    private static let pieceSize = 1 << 20

    /// Reads every stored byte and compares each object with its name. Needs no key and no index.
    public func verifyMedia() throws -> VerificationReport {
        // Objects of like size are hashed side by side, and most packs are of one size.
        let objects = try listObjects().sorted { $0.size > $1.size }
        let groups = stride(from: 0, to: objects.count, by: Hasher.lanes).map {
            Array(objects[$0..<min($0 + Hasher.lanes, objects.count)])
        }
        try forEach(groups) { [self] in verifyMedia(of: $0) }
        report.withLock { $0.snapshots = objects.count { $0.object.kind == .manifest } }
        return result()
    }

    private func verifyMedia(of group: [ListedObject]) {
        let storage = repository.storage
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: group.count * Self.pieceSize, alignment: 4096)
        defer { memory.deallocate() }
        for (object, _) in group { storage.willRead(object) }
        let names = Hasher.names(ofObjects: group.map(\.size), memory: memory) { index, offset, buffer in
            let (object, size) = group[index]
            guard try storage.read(object, at: offset, into: buffer) == buffer.count else {
                throw VarveError(.corrupt, "it became shorter than its \(size) bytes")
            }
        }
        for ((object, size), name) in zip(group, names) {
            do {
                guard try name.get() == object.contentHash else {
                    throw VarveError(
                        .corrupt, "its bytes are not what its name promises (\(ByteCount(size)) read)")
                }
                report.withLock {
                    $0.objects += 1
                    $0.bytes += size
                }
            } catch let error as VarveError where error.code == .missing && object.kind.isCache {
                // A backup that is at work has merged it into another.
            } catch {
                note("\(object)", error)
            }
        }
    }

    func hash(_ object: ObjectName) throws -> UInt64 {
        var hasher = Hasher()
        var offset: UInt64 = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let count = try repository.storage.read(object, at: offset, into: buffer)
            hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += UInt64(count)
            if count < buffer.count { break }
        }
        guard hasher.finish() == object.contentHash else {
            throw VarveError(.corrupt, "its bytes are not what its name promises (\(ByteCount(offset)) read)")
        }
        return offset
    }
}
