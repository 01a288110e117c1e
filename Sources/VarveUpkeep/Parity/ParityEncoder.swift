import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// Computes a group's parity, in two passes: its members are hashed against their names front to back, then blocks are
/// read once more, stripe by stripe. The second pass checks them against the checksums of the first, so parity is never
/// that of bytes that were not what a name promises.
final class ParityEncoder {
    /// All buffers together.
    static let memory = 32 << 20
    private static let pieceSize = 1 << 20

    private let storage: any Storage
    private let repository: RepositoryID
    private let scratchDirectory: String
    private let cancellation: Cancellation

    /// - Parameter scratchDirectory: has room for the parity of one group.
    init(
        _ storage: any Storage, _ repository: RepositoryID, scratchDirectory: String,
        cancellation: Cancellation = Cancellation()
    ) {
        self.storage = storage
        self.repository = repository
        self.scratchDirectory = scratchDirectory
        self.cancellation = cancellation
    }

    /// The checksums of each member's blocks, or why it is not what its name promises.
    func hash(_ members: [ParityMember]) throws(VarveError) -> [ParityMember: Result<[UInt32], VarveError>] {
        // Those of like size are hashed side by side.
        let bySize = members.sorted { $0.size > $1.size }
        var results: [ParityMember: Result<[UInt32], VarveError>] = [:]
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Hasher.lanes * Self.pieceSize, alignment: 4096)
        defer { memory.deallocate() }
        for start in stride(from: 0, to: bySize.count, by: Hasher.lanes) {
            try cancellation.check()
            let part = Array(bySize[start..<min(start + Hasher.lanes, bySize.count)])
            hash(
                part, UnsafeMutableRawBufferPointer(rebasing: memory[..<(part.count * Self.pieceSize)]),
                &results)
        }
        return results
    }

    private func hash(
        _ members: [ParityMember], _ memory: UnsafeMutableRawBufferPointer,
        _ results: inout [ParityMember: Result<[UInt32], VarveError>]
    ) {
        let storage = storage
        for member in members { storage.willRead(member.object) }
        var sums = members.map { _ in [UInt32]() }
        let names = Hasher.names(ofObjects: members.map { UInt64($0.size) }, memory: memory) {
            (index, offset, buffer) throws(VarveError) in
            let member = members[index]
            guard try storage.size(of: member.object) == UInt64(member.size),
                try storage.read(member.object, at: offset, into: buffer) == buffer.count
            else { throw VarveError(.corrupt, "it has not the \(member.size) bytes that it had") }
            for at in stride(from: 0, to: buffer.count, by: ParityShape.blockSize) {
                let block = buffer[at..<min(buffer.count, at + ParityShape.blockSize)]
                sums[index].append(BlockChecksum.of(UnsafeRawBufferPointer(rebasing: block)))
            }
        }
        for (index, member) in members.enumerated() {
            results[member] = Result { () throws(VarveError) in
                guard try names[index].get() == member.hash else {
                    throw VarveError(.corrupt, "its bytes do not match its name")
                }
                return sums[index]
            }
        }
    }

    /// Computes the parity of whole members.
    ///
    /// - Parameter checksums: as `hash` found them, in the order of members.
    func encode(
        _ members: [ParityMember], _ shape: ParityShape, checksums: [UInt32]
    ) throws(VarveError) -> EncodedParity {
        let scratch = try File.scratch(in: scratchDirectory)
        let parity = try encode(members, shape, checksums, into: scratch)
        let directory = ParityFile.directory(
            repository: repository, shape: shape, members: members, checksums: checksums + parity)
        return try EncodedParity(
            directory: directory, parity: scratch, parityLength: shape.parityBlocks * ParityShape.blockSize)
    }

    /// Windows of neighbouring stripes: from each place of a stripe one run of blocks.
    private func encode(
        _ members: [ParityMember], _ shape: ParityShape, _ checksums: [UInt32], into scratch: borrowing File
    ) throws(VarveError) -> [UInt32] {
        let size = ParityShape.blockSize
        let code = ErasureCode(dataCount: shape.dataPerStripe, parityCount: shape.parityPerStripe)
        let reader = ParityGroupReader(storage, members)
        let rows = shape.dataPerStripe + shape.parityPerStripe
        let width = max(1, min(shape.stripes, Self.memory / (rows * size)))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: rows * width * size, alignment: 4096)
        defer { memory.deallocate() }
        var sums = [UInt32](repeating: 0, count: shape.parityBlocks)
        for first in stride(from: 0, to: shape.stripes, by: width) {
            try cancellation.check()
            let count = min(width, shape.stripes - first)
            let run = { (row: Int) in
                UnsafeMutableRawBufferPointer(
                    rebasing: memory[row * width * size..<(row * width + count) * size])
            }
            for row in 0..<shape.dataPerStripe {
                try read(reader, from: row * shape.stripes + first, into: run(row), checksums)
            }
            let data = (0..<shape.dataPerStripe).map { UnsafeRawPointer(run($0).baseAddress!) }
            let parity = (shape.dataPerStripe..<rows).map { run($0).baseAddress! }
            code.encode(data, into: parity, length: count * size)
            for row in 0..<shape.parityPerStripe {
                let bytes = UnsafeRawBufferPointer(run(shape.dataPerStripe + row))
                let number = row * shape.stripes + first
                try scratch.write(bytes, at: UInt64(number * size))
                for block in 0..<count {
                    let part = UnsafeRawBufferPointer(rebasing: bytes[block * size..<(block + 1) * size])
                    sums[number + block] = BlockChecksum.of(part)
                }
            }
        }
        return sums
    }

    private func read(
        _ reader: ParityGroupReader, from first: Int, into buffer: UnsafeMutableRawBufferPointer,
        _ checksums: [UInt32]
    ) throws(VarveError) {
        let size = ParityShape.blockSize
        var changed: Int?
        try reader.read(from: first, into: buffer) { changed = $0 }
        for block in first..<max(first, min(first + buffer.count / size, checksums.count)) {
            let at = (block - first) * size
            let sum = BlockChecksum.of(UnsafeRawBufferPointer(rebasing: buffer[at..<at + size]))
            if sum != checksums[block] { changed = changed ?? block }
        }
        if let changed {
            let object = reader.members[reader.member(of: changed)].object
            throw VarveError(
                .corrupt, "\(object) was whole, and is not any more", location: storage.location,
                hint: "suspect this disk, or this machine's memory: run 'varve verify'")
        }
    }
}

/// A parity object that is not published yet; what is large of it is in a file without a name.
final class EncodedParity {
    private static let pieceSize = 1 << 20

    private let directory: [UInt8]
    private let parity: File
    private let parityLength: Int
    private(set) var name = ""
    private(set) var byteCount: UInt64 = 0

    init(directory: [UInt8], parity: consuming File, parityLength: Int) throws(VarveError) {
        self.directory = directory
        self.parity = parity
        self.parityLength = parityLength
        var hasher = Hasher()
        try write {
            hasher.update($0)
            byteCount += UInt64($0.count)
        }
        name = hasher.finish().hex
    }

    /// Gives the object's bytes, in order; the same at each call.
    func write(_ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void) throws(VarveError) {
        try directory.withBytes(append)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceSize, alignment: 4096)
        defer { buffer.deallocate() }
        for offset in stride(from: 0, to: parityLength, by: buffer.count) {
            let piece = UnsafeMutableRawBufferPointer(
                rebasing: buffer[..<min(buffer.count, parityLength - offset)])
            guard try parity.read(into: piece, at: UInt64(offset)) == piece.count else {
                throw VarveError(.corrupt, "a temporary file became shorter", location: parity.path)
            }
            try append(UnsafeRawBufferPointer(piece))
        }
        try ParityFile.reversed(directory).withBytes(append)
    }
}
