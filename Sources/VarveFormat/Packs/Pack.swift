/// The layout of packs, format 1. `Documentation/internals/format.md` has every byte; this is where they are written.
package enum Pack {
    package static let version: UInt16 = 1
    package static let magic = Array("VARVEPCK".utf8)
    package static let headerLength = 64
    package static let trailerLength = 32
    /// No blob decodes to more: a reader never allocates more for one, whatever a header says.
    package static let maximumBlobLength = 16 << 20
    /// Packs stay below what the smallest of file systems can hold (FAT: 4 GiB - 1).
    package static let maximumLength = 1 << 30

    /// The first 64 bytes of a pack.
    package struct Header: Hashable, Sendable {
        package var repository: RepositoryID
        /// 0: not encrypted. Others are for a cipher; a reader without it refuses the pack and can still verify its
        /// stored bytes by name.
        package var cipherSuite: UInt16
        /// Random per pack when encrypted, else zero, so that equal blobs make equal packs.
        package var salt: ContentID

        package init(repository: RepositoryID, cipherSuite: UInt16 = 0, salt: ContentID = .zero) {
            self.repository = repository
            self.cipherSuite = cipherSuite
            self.salt = salt
        }

        package var encoded: [UInt8] {
            var writer = ByteWriter(capacity: Pack.headerLength)
            writer.raw(Pack.magic)
            writer.integer(Pack.version)
            writer.integer(cipherSuite)
            writer.zeros(4)
            writer.raw(repository.bytes)
            writer.id(salt)
            return writer.bytes
        }

        package init(_ bytes: UnsafeRawBufferPointer) throws(VarveError) {
            var reader = ByteReader(bytes, what: "the pack header")
            try reader.expect(Pack.magic)
            let version: UInt16 = try reader.integer()
            guard version == Pack.version else {
                throw VarveError(
                    .unsupported, "the pack has format \(version); this varve reads \(Pack.version)")
            }
            cipherSuite = try reader.integer()
            try reader.expectZero(4)
            repository = RepositoryID(try reader.take(RepositoryID.byteCount))
            salt = try reader.id()
            try reader.expectEnd()
        }
    }

    /// What precedes each blob's payload, and stands again in the pack's directory.
    package struct BlobHeader: Hashable, Sendable {
        package static let magic: [UInt8] = [0xF6, 0x76, 0x42, 0x1A]
        /// Without a base; a delta has 32 bytes more.
        package static let minimumLength = 52
        package static let maximumLength = minimumLength + ContentID.byteCount

        package var id: ContentID
        package var type: BlobType
        package var encoding: BlobEncoding
        /// Bytes of the payload in the pack.
        package var storedLength: UInt32
        package var decodedLength: UInt32
        /// The blob that a delta is against.
        package var base: ContentID?

        package init(
            id: ContentID, type: BlobType, encoding: BlobEncoding, storedLength: Int, decodedLength: Int,
            base: ContentID? = nil
        ) {
            precondition((encoding == .delta) == (base != nil))
            precondition(decodedLength <= Pack.maximumBlobLength && storedLength <= Pack.maximumBlobLength)
            self.id = id
            self.type = type
            self.encoding = encoding
            self.storedLength = UInt32(storedLength)
            self.decodedLength = UInt32(decodedLength)
            self.base = base
        }

        package var length: Int { base == nil ? Self.minimumLength : Self.maximumLength }
        /// Header and payload.
        package var totalLength: Int { length + Int(storedLength) }

        package var encoded: [UInt8] {
            var writer = ByteWriter(capacity: Self.maximumLength)
            writer.raw(Self.magic)
            encodeFields(&writer)
            let crc = writer.bytes.withUnsafeBytes { CRC32C.of($0) }
            writer.integer(crc)
            return writer.bytes
        }

        /// Reads the header at the start of `bytes`, which may go on behind it.
        ///
        /// - Throws: `.unsupported` for what a newer varve may have written, `.corrupt` for damage.
        package init(prefixOf bytes: UnsafeRawBufferPointer) throws(VarveError) {
            var reader = ByteReader(bytes, what: "the blob header")
            try reader.expect(Self.magic)
            do {
                try self.init(fields: &reader)
            } catch let error where error.code == .unsupported {
                // A foreign header has its checksum where ours do, or these are not the bytes that were written.
                for length in [Self.minimumLength, Self.maximumLength] where length <= bytes.count {
                    if Self.hasChecksum(bytes, length: length) { throw error }
                }
                throw Self.wrongChecksum
            }
            let end = reader.offset + MemoryLayout<UInt32>.size
            guard end <= bytes.count, Self.hasChecksum(bytes, length: end) else { throw Self.wrongChecksum }
        }

        private static var wrongChecksum: VarveError {
            VarveError(.corrupt, "the blob header has a wrong checksum")
        }

        /// Whether the last four of so many bytes are the checksum of those before.
        private static func hasChecksum(_ bytes: UnsafeRawBufferPointer, length: Int) -> Bool {
            let end = length - MemoryLayout<UInt32>.size
            let crc = bytes.littleEndian(at: end, as: UInt32.self)
            return CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[..<end])) == crc
        }

        func encodeFields(_ writer: inout ByteWriter) {
            writer.integer(type.rawValue)
            writer.integer(encoding.rawValue)
            writer.zeros(2)
            writer.integer(storedLength)
            writer.integer(decodedLength)
            writer.id(id)
            if let base { writer.id(base) }
        }

        init(fields reader: inout ByteReader) throws(VarveError) {
            let (type, encoding): (UInt8, UInt8) = (try reader.integer(), try reader.integer())
            guard let type = BlobType(rawValue: type), let encoding = BlobEncoding(rawValue: encoding) else {
                throw VarveError(
                    .unsupported, "\(reader.what) has type \(type), encoding \(encoding): unknown here")
            }
            (self.type, self.encoding) = (type, encoding)
            try reader.expectZero(2)
            storedLength = try reader.integer()
            decodedLength = try reader.integer()
            guard storedLength <= Pack.maximumBlobLength, decodedLength <= Pack.maximumBlobLength,
                encoding != .raw || storedLength == decodedLength
            else { throw VarveError(.corrupt, "\(reader.what) has impossible lengths") }
            id = try reader.id()
            base = encoding == .delta ? try reader.id() : nil
        }
    }

    /// A blob and where its header starts in the pack.
    package struct Entry: Hashable, Sendable {
        package var offset: UInt32
        package var header: BlobHeader

        package init(offset: UInt32, header: BlobHeader) {
            self.offset = offset
            self.header = header
        }
    }
}

/// Names a repository, all copies of it alike.
package struct RepositoryID: Hashable, Sendable, CustomStringConvertible {
    package static let byteCount = 16
    package let bytes: [UInt8]

    /// - Precondition: 16 bytes
    package init(_ bytes: some Collection<UInt8>) {
        precondition(bytes.count == Self.byteCount)
        self.bytes = Array(bytes)
    }

    package init?(hex: String) {
        guard let bytes = Hex.decode(hex), bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    package var description: String { Hex.encode(bytes) }
}
