/// The end of a pack: a directory of its blobs and the trailer that finds it.
///
/// It repeats the blob headers, so an index is rebuilt from the ends of the packs alone; where the end is damaged,
/// the headers in front of the blobs say the same.
package struct PackDirectory: Hashable, Sendable {
    package static let magic = Array("VARVEDIR".utf8)
    package static let trailerMagic = Array("VARVEEND".utf8)

    package var entries: [Pack.Entry]

    package init(entries: [Pack.Entry]) { self.entries = entries }

    /// Bytes that a blob takes here: its offset, and its header without magic and checksum.
    package static func entryLength(_ header: Pack.BlobHeader) -> Int { header.length - 4 }

    /// Directory and trailer, to be appended at `offset`, where the last blob ends.
    package func encoded(at offset: Int) -> [UInt8] {
        var writer = ByteWriter(capacity: entries.count * 48 + 64)
        writer.raw(Self.magic)
        for entry in entries {
            writer.integer(entry.offset)
            entry.header.encodeFields(&writer)
        }
        let directory = writer.bytes
        var trailer = ByteWriter(capacity: Pack.trailerLength)
        trailer.raw(Self.trailerMagic)
        trailer.integer(UInt32(offset))
        trailer.integer(UInt32(directory.count))
        trailer.integer(UInt32(entries.count))
        trailer.integer(directory.withUnsafeBytes { CRC32C.of($0) })
        trailer.integer(UInt32(offset + directory.count + Pack.trailerLength))
        let crc = trailer.bytes.withUnsafeBytes { CRC32C.of($0) }
        trailer.integer(crc)
        return directory + trailer.bytes
    }

    /// The last 32 bytes of a pack: where the directory is.
    package struct Trailer: Hashable, Sendable {
        package var directoryOffset: Int
        package var directoryLength: Int
        package var blobCount: Int
        package var directoryChecksum: UInt32

        /// - Parameter packLength: as the file system tells it; a pack that was cut or appended to is refused.
        package init(_ bytes: UnsafeRawBufferPointer, packLength: Int) throws(VarveError) {
            var reader = ByteReader(bytes, what: "the pack trailer")
            try reader.expect(PackDirectory.trailerMagic)
            directoryOffset = Int(try reader.integer(UInt32.self))
            directoryLength = Int(try reader.integer(UInt32.self))
            blobCount = Int(try reader.integer(UInt32.self))
            directoryChecksum = try reader.integer()
            let length = Int(try reader.integer(UInt32.self))
            let end = reader.offset
            let crc: UInt32 = try reader.integer()
            try reader.expectEnd()
            guard CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[..<end])) == crc else {
                throw VarveError(.corrupt, "the pack trailer has a wrong checksum")
            }
            guard length == packLength, directoryOffset >= Pack.headerLength,
                directoryOffset + directoryLength + Pack.trailerLength == packLength
            else { throw VarveError(.corrupt, "the pack is not as long as its trailer says") }
        }
    }

    /// - Parameter bytes: the directory alone, as the trailer located it.
    package init(_ bytes: UnsafeRawBufferPointer, trailer: Trailer) throws(VarveError) {
        var reader = ByteReader(bytes, what: "the pack directory")
        guard CRC32C.of(bytes) == trailer.directoryChecksum else {
            throw VarveError(.corrupt, "the pack directory has a wrong checksum")
        }
        try reader.expect(Self.magic)
        // At least 48 bytes an entry: a count that cannot be true must not reserve memory.
        guard trailer.blobCount <= reader.remaining / 48 else {
            throw VarveError(.corrupt, "the pack directory is too short for its \(trailer.blobCount) blobs")
        }
        entries = []
        entries.reserveCapacity(trailer.blobCount)
        var end = Pack.headerLength
        for _ in 0..<trailer.blobCount {
            let offset: UInt32 = try reader.integer()
            let header = try Pack.BlobHeader(fields: &reader)
            guard Int(offset) == end, end + header.totalLength <= trailer.directoryOffset else {
                throw VarveError(.corrupt, "the pack directory has a blob at \(offset), where none can be")
            }
            end += header.totalLength
            entries.append(Pack.Entry(offset: offset, header: header))
        }
        try reader.expectEnd()
    }
}
