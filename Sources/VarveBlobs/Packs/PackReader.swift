import VarveFormat
import VarveStorage

/// What a stored pack says of its blobs, without any index.
package enum PackReader {
    /// The directory of a healthy pack, by two reads at its end.
    package static func directory(of pack: ContentID, in storage: any Storage) throws(VarveError)
        -> PackDirectory
    {
        let object = ObjectName(.pack, pack)
        guard let size = try storage.size(of: object) else { throw storage.missing(object) }
        guard size >= UInt64(Pack.headerLength + Pack.trailerLength), size <= UInt64(Pack.maximumLength)
        else {
            throw VarveError(
                .corrupt, "\(object) has \(size) bytes, which no pack has", location: storage.location)
        }
        let length = Int(size)
        do {
            let end = try read(object, length - Pack.trailerLength, Pack.trailerLength, storage)
            let trailer = try end.withBytes { (bytes) throws(VarveError) in
                try PackDirectory.Trailer(bytes, packLength: length)
            }
            let bytes = try read(object, trailer.directoryOffset, trailer.directoryLength, storage)
            return try bytes.withBytes { (bytes) throws(VarveError) in
                try PackDirectory(bytes, trailer: trailer)
            }
        } catch var error where error.code == .corrupt {
            error.location = "\(storage.location)/\(object)"
            throw error
        }
    }

    /// Like `directory`, and if that can't be read, by scanning the whole pack.
    package static func contents(of pack: ContentID, in storage: any Storage) throws(VarveError)
        -> PackContents
    {
        do {
            return PackContents(entries: try directory(of: pack, in: storage).entries, damaged: [])
        } catch let error where error.code == .corrupt {
            let stored = try storage.readAll(ObjectName(.pack, pack), limit: Pack.maximumLength)
            return stored.withUnsafeBytes { PackContents(scanning: $0) }
        }
    }

    private static func read(
        _ object: ObjectName, _ offset: Int, _ count: Int, _ storage: any Storage
    ) throws(VarveError) -> [UInt8] {
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { (buffer, read) throws(VarveError) in
            read = try storage.read(
                object, at: UInt64(offset),
                into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
            )
        }
        guard bytes.count == count else { throw VarveError(.corrupt, "the pack ends early") }
        return bytes
    }
}
