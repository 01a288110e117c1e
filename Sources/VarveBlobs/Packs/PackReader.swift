import VarveCodec
import VarveFormat
import VarveStorage

/// What can be learned from a pack without any index: its blobs, from the directory at its end or, where that is
/// damaged, from the headers in front of the blobs.
package struct PackContents: Sendable {
    package var entries: [Pack.Entry]
    /// Byte ranges that belong to no readable blob header; empty in a healthy pack.
    package var damaged: [Range<Int>]
}

package enum PackReader {
    /// The directory of a healthy pack, by two reads at its end.
    package static func directory(of pack: ContentID, in storage: any Storage) throws -> PackDirectory {
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
            let trailer = try end.withUnsafeBytes { try PackDirectory.Trailer($0, packLength: length) }
            let bytes = try read(object, trailer.directoryOffset, trailer.directoryLength, storage)
            return try bytes.withUnsafeBytes { try PackDirectory($0, trailer: trailer) }
        } catch var error as VarveError where error.code == .corrupt {
            error.location = "\(storage.location)/\(object)"
            throw error
        }
    }

    /// Like `directory`, and if that can't be read, by scanning the whole pack.
    package static func contents(of pack: ContentID, in storage: any Storage) throws -> PackContents {
        do {
            return PackContents(entries: try directory(of: pack, in: storage).entries, damaged: [])
        } catch let error as VarveError where error.code == .corrupt {
            let stored = try storage.readAll(ObjectName(.pack, pack), limit: Pack.maximumLength)
            return stored.withUnsafeBytes { scan($0) }
        }
    }

    /// Walks the blob headers from the front. Where none can be read, it goes on at the next magic number whose
    /// header has a right checksum.
    package static func scan(_ bytes: UnsafeRawBufferPointer) -> PackContents {
        var contents = PackContents(entries: [], damaged: [])
        var offset = min(Pack.headerLength, bytes.count)
        var damageStart: Int?
        while offset < bytes.count {
            if let header = try? Pack.BlobHeader(
                prefixOf: UnsafeRawBufferPointer(rebasing: bytes[offset...])),
                offset + header.totalLength <= bytes.count
            {
                if let start = damageStart { contents.damaged.append(start..<offset) }
                damageStart = nil
                contents.entries.append(Pack.Entry(offset: UInt32(offset), header: header))
                offset += header.totalLength
            } else {
                if damageStart == nil {
                    if isDirectory(at: offset, bytes) { return contents }
                    damageStart = offset
                }
                offset = nextMagic(after: offset, bytes)
            }
        }
        if let start = damageStart { contents.damaged.append(start..<bytes.count) }
        return contents
    }

    private static func isDirectory(at offset: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes[offset...].starts(with: PackDirectory.magic)
    }

    private static func nextMagic(after offset: Int, _ bytes: UnsafeRawBufferPointer) -> Int {
        let magic = Pack.BlobHeader.magic
        var at = offset + 1
        while at + magic.count <= bytes.count {
            if bytes[at] == magic[0], bytes[at + 1] == magic[1], bytes[at + 2] == magic[2],
                bytes[at + 3] == magic[3]
            {
                return at
            }
            at += 1
        }
        return bytes.count
    }

    private static func read(
        _ object: ObjectName, _ offset: Int, _ count: Int, _ storage: any Storage
    ) throws -> [UInt8] {
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, read in
            read = try storage.read(
                object, at: UInt64(offset),
                into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
            )
        }
        guard bytes.count == count else { throw VarveError(.corrupt, "the pack ends early") }
        return bytes
    }
}
