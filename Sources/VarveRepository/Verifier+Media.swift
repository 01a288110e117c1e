import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

extension Verifier {
    /// Reads every stored byte and compares each object with its name. Needs no key and no index.
    public func verifyMedia() throws -> VerificationReport {
        let objects = try listObjects()
        try forEach(objects) { [self] object, size in
            do {
                let bytes = try hash(object)
                report.withLock {
                    $0.objects += 1
                    $0.bytes += bytes
                }
            } catch let error as VarveError where error.code == .missing && object.kind.isCache {
                // A backup that is at work has merged it into another.
            } catch {
                note("\(object)", error)
            }
        }
        report.withLock { $0.snapshots = objects.count { $0.object.kind == .manifest } }
        return result()
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
