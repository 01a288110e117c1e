/// The layout of parity objects, version 1: `Documentation/internals/format.md` has every byte.
///
/// Blocks of 4 KiB throughout, so that a bad sector hits one thing: the directory (header, members, checksums), the
/// parity blocks, and the directory's blocks again, in reverse. Each block of the directory has a checksum of its own
/// and is taken from where it is good. So a damaged object is still of use, and no error is thrown for damage that
/// leaves header and members in one of the two places.
package struct ParityFile: Sendable {
    package static let magic = Array("VARVEPAR".utf8)
    package static let version: UInt16 = 1
    static let headerLength = 64
    static let memberLength = 48
    /// Of a block of the directory, without its checksum.
    static let payloadLength = ParityShape.blockSize - 4
    /// As of every object.
    static let maximumLength = 1 << 32

    package let repository: RepositoryID
    package let shape: ParityShape
    /// In ascending order.
    package let members: [ParityMember]
    private let source: any ByteSource

    /// Reads header and members; the checksums are read by `checksums()`.
    ///
    /// - Throws: `.corrupt` if they are damaged in both places, or can't be; `.unsupported` for another version.
    package init(_ source: some ByteSource) throws(VarveError) {
        self.source = source
        let header = try Self.header(source)
        (repository, shape) = (header.repository, header.shape)
        let end = Self.headerLength + header.memberCount * Self.memberLength
        var bytes: [UInt8] = []
        for index in 0..<(end + Self.payloadLength - 1) / Self.payloadLength {
            guard let block = header.directoryBlock(index, source) else {
                throw VarveError(.corrupt, "the parity object's list of members is damaged in both places")
            }
            bytes += block.prefix(Self.payloadLength)
        }
        members = try bytes.withBytes { (bytes) throws(VarveError) in
            try Self.members(
                UnsafeRawBufferPointer(rebasing: bytes[Self.headerLength..<end]), of: header.shape)
        }
    }

    /// Bytes of the object when it is whole.
    package var length: Int {
        Header(repository: repository, shape: shape, memberCount: members.count).length
    }

    /// Where a parity block lies in the object.
    package func offset(ofParity block: Int) -> Int {
        let header = Header(repository: repository, shape: shape, memberCount: members.count)
        return (header.directoryBlocks + block) * ParityShape.blockSize
    }

    /// The checksums of all blocks, but for those that are damaged in both places.
    package func checksums() -> ParityChecksums {
        let header = Header(repository: repository, shape: shape, memberCount: members.count)
        var sums = ParityChecksums(shape: shape, offset: header.checksumsOffset)
        for index in header.checksumsOffset / Self.payloadLength..<header.directoryBlocks {
            if let block = header.directoryBlock(index, source) { sums.take(block, number: index) }
        }
        return sums
    }

    private static func members(
        _ bytes: UnsafeRawBufferPointer, of shape: ParityShape
    ) throws(VarveError) -> [ParityMember] {
        var reader = ByteReader(bytes, what: "the parity object's list of members")
        var members: [ParityMember] = []
        var blocks = 0
        while reader.remaining > 0 {
            let member = ParityMember(
                hash: try reader.id(), sequence: try reader.integer(), size: try reader.integer())
            try reader.expectZero(4)
            guard (1...Pack.maximumLength).contains(Int(member.size)),
                members.last.map({ $0 < member }) ?? true
            else { throw VarveError(.corrupt, "\(reader.what) has an impossible entry") }
            blocks += member.blocks
            members.append(member)
        }
        guard blocks == shape.blocks else {
            throw VarveError(.corrupt, "\(reader.what) does not fit its number of blocks")
        }
        return members
    }
}

extension ParityFile {
    /// The first 64 bytes, and what follows from them.
    struct Header {
        var repository: RepositoryID
        var shape: ParityShape
        var memberCount: Int

        var checksumsOffset: Int { headerLength + memberCount * memberLength }
        var directoryBlocks: Int {
            let length = checksumsOffset + 4 * (shape.blocks + shape.parityBlocks)
            return (length + payloadLength - 1) / payloadLength
        }
        var length: Int { (2 * directoryBlocks + shape.parityBlocks) * ParityShape.blockSize }

        /// From the front or from the back; nil if it is damaged in both places.
        func directoryBlock(_ index: Int, _ source: any ByteSource) -> [UInt8]? {
            let front = index * ParityShape.blockSize
            return ParityFile.block(at: front, source)
                ?? ParityFile.block(at: length - front - ParityShape.blockSize, source)
        }
    }

    /// The block with a right checksum; whatever keeps it from being read, it is as good as damaged.
    fileprivate static func block(at offset: Int, _ source: any ByteSource) -> [UInt8]? {
        guard offset >= 0, offset <= source.byteCount - ParityShape.blockSize else { return nil }
        var block = [UInt8](repeating: 0, count: ParityShape.blockSize)
        let isGood = block.withMutableBytes { (bytes) -> Bool in
            do { try source.read(at: offset, into: bytes) } catch { return false }
            let payload = UnsafeRawBufferPointer(rebasing: bytes[..<payloadLength])
            let sum = UnsafeRawBufferPointer(bytes).littleEndian(at: payloadLength, as: UInt32.self)
            return CRC32C.of(payload) == sum
        }
        return isGood ? block : nil
    }

    /// From the front, or else from the back of an object that has the length that it says there.
    private static func header(_ source: any ByteSource) throws(VarveError) -> Header {
        var found: VarveError?
        for (offset, isBack) in [(0, false), (source.byteCount - ParityShape.blockSize, true)] {
            guard let block = block(at: offset, source) else { continue }
            do {
                let header = try block.withBytes { (bytes) throws(VarveError) in
                    try Self.header(UnsafeRawBufferPointer(rebasing: bytes[..<headerLength]))
                }
                if !isBack || header.length == source.byteCount { return header }
            } catch {
                found = found ?? error
            }
        }
        throw found ?? VarveError(.corrupt, "the parity object's header is damaged in both places")
    }

    private static func header(_ bytes: UnsafeRawBufferPointer) throws(VarveError) -> Header {
        var reader = ByteReader(bytes, what: "the parity object's header")
        try reader.expect(magic)
        let version: UInt16 = try reader.integer()
        guard version == Self.version else {
            throw VarveError(
                .unsupported, "the parity object has version \(version); this varve reads \(Self.version)")
        }
        try reader.expectZero(2)
        let blockSize: UInt32 = try reader.integer()
        let repository = RepositoryID(try reader.take(RepositoryID.byteCount))
        let (data, parity): (UInt16, UInt16) = (try reader.integer(), try reader.integer())
        let (stripes, blocks): (UInt32, UInt32) = (try reader.integer(), try reader.integer())
        let memberCount: UInt32 = try reader.integer()
        try reader.expectZero(16)
        let shape = ParityShape(
            blocks: Int(blocks), stripes: Int(stripes), dataPerStripe: Int(data), parityPerStripe: Int(parity)
        )
        guard blockSize == ParityShape.blockSize, let shape, (1...shape.blocks).contains(Int(memberCount))
        else { throw VarveError(.corrupt, "\(reader.what) has impossible numbers") }
        let header = Header(repository: repository, shape: shape, memberCount: Int(memberCount))
        // Parity alone may be as much: nothing is allocated for a header that no object can have.
        guard header.length < maximumLength else {
            throw VarveError(.corrupt, "\(reader.what) has impossible numbers")
        }
        return header
    }

    /// The blocks of the directory, as they stand in front.
    ///
    /// - Parameter checksums: of the data blocks, then of the parity blocks.
    /// - Precondition: members in ascending order, and as many blocks as the shape says.
    package static func directory(
        repository: RepositoryID, shape: ParityShape, members: [ParityMember], checksums: [UInt32]
    ) -> [UInt8] {
        precondition(members.reduce(0) { $0 + $1.blocks } == shape.blocks)
        precondition(checksums.count == shape.blocks + shape.parityBlocks)
        let header = Header(repository: repository, shape: shape, memberCount: members.count)
        var writer = ByteWriter(capacity: header.directoryBlocks * payloadLength)
        writer.raw(magic)
        writer.integer(version)
        writer.zeros(2)
        writer.integer(UInt32(ParityShape.blockSize))
        writer.raw(repository.bytes)
        writer.integer(UInt16(shape.dataPerStripe))
        writer.integer(UInt16(shape.parityPerStripe))
        writer.integer(UInt32(shape.stripes))
        writer.integer(UInt32(shape.blocks))
        writer.integer(UInt32(members.count))
        writer.zeros(16)
        for member in members {
            writer.id(member.hash)
            writer.integer(member.sequence)
            writer.integer(member.size)
            writer.zeros(4)
        }
        for sum in checksums { writer.integer(sum) }
        writer.zeros(header.directoryBlocks * payloadLength - writer.bytes.count)
        return writer.bytes.withUnsafeBytes { payloads in
            var blocks = ByteWriter(capacity: header.directoryBlocks * ParityShape.blockSize)
            for start in stride(from: 0, to: payloads.count, by: payloadLength) {
                let payload = UnsafeRawBufferPointer(rebasing: payloads[start..<start + payloadLength])
                blocks.raw(payload)
                blocks.integer(CRC32C.of(payload))
            }
            return blocks.bytes
        }
    }

    /// The directory as it stands at the end: its blocks in reverse, so that the header is in the last one.
    package static func reversed(_ directory: [UInt8]) -> [UInt8] {
        stride(from: directory.count - ParityShape.blockSize, through: 0, by: -ParityShape.blockSize).flatMap
        {
            directory[$0..<$0 + ParityShape.blockSize]
        }
    }
}

/// CRC-32C of each block of a group, as far as they are known.
package struct ParityChecksums: Sendable {
    private let shape: ParityShape
    /// Of the first checksum among the directory's payloads.
    private let offset: Int
    private var values: [UInt32]
    /// For each block of the directory.
    private var isKnown: [Bool] = []

    init(shape: ParityShape, offset: Int) {
        self.shape = shape
        self.offset = offset
        values = [UInt32](repeating: 0, count: shape.blocks + shape.parityBlocks)
        let end = offset + 4 * values.count
        isKnown = [Bool](repeating: false, count: end / ParityFile.payloadLength + 1)
    }

    /// Payloads are whole numbers of checksums, and so is what stands before these: none is divided.
    mutating func take(_ block: [UInt8], number: Int) {
        isKnown[number] = true
        let start = number * ParityFile.payloadLength
        let first = max(0, start - offset) / 4
        block.withUnsafeBytes { bytes in
            var index = first
            while index < values.count {
                let at = offset + 4 * index - start
                if at >= ParityFile.payloadLength { break }
                values[index] = bytes.littleEndian(at: at, as: UInt32.self)
                index += 1
            }
        }
    }

    private func value(_ index: Int) -> UInt32? {
        isKnown[(offset + 4 * index) / ParityFile.payloadLength] ? values[index] : nil
    }

    package func data(_ block: Int) -> UInt32? { value(block) }
    package func parity(_ block: Int) -> UInt32? { value(shape.blocks + block) }
}
