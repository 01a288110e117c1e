import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// Heals members of one group. Only stripes in which a wanted member is damaged are read and decoded.
final class ParityGroupHealer {
    private static let pieceSize = 1 << 20

    private let group: ParityGroup
    private let storage: any Storage
    private let reader: ParityGroupReader
    private let checksums: ParityChecksums
    private let shape: ParityShape
    private let code: ErasureCode
    /// What was decoded, in the order in which it was.
    private let scratch: File
    private var slots: [Int: Int] = [:]
    /// Blocks of wanted members that could not be decoded, and how many blocks of their stripe are too many.
    private var lost: [Int: Int] = [:]
    /// Neighbouring stripes often lack the same blocks.
    private var lastDecoder: (missing: [Int], parity: [Int], decoder: ErasureCode.Decoder)?

    private let cancellation: Cancellation

    init(
        _ group: ParityGroup, _ storage: any Storage, scratchDirectory: String,
        cancellation: Cancellation
    ) throws(VarveError) {
        self.cancellation = cancellation
        self.group = group
        self.storage = storage
        shape = group.shape
        reader = ParityGroupReader(storage, group.members)
        checksums = group.file.checksums()
        code = ErasureCode(dataCount: shape.dataPerStripe, parityCount: shape.parityPerStripe)
        scratch = try File.scratch(in: scratchDirectory)
    }

    /// What is known of a block that was read.
    private enum State { case good, unknown, bad }

    /// - Parameter wanted: numbers of members.
    func run(_ wanted: [Int], isTrial: Bool) throws(VarveError) -> [(
        member: Int, outcome: ParityHealer.ObjectReport
    )] {
        var outcomes: [(Int, ParityHealer.ObjectReport)] = []
        var damaged: [Int: [Int]] = [:]
        for member in wanted {
            if try isWhole(member) {
                outcomes.append((member, .init(object: group.members[member].object, result: .whole)))
            } else {
                damaged[member] = try scan(member)
            }
        }
        try decode(Set(damaged.values.joined()))
        for (member, blocks) in damaged.sorted(by: { $0.key < $1.key }) {
            outcomes.append((member, try finish(member, damaged: blocks, isTrial: isTrial)))
        }
        return outcomes
    }

    // MARK: What is damaged

    private func isWhole(_ number: Int) throws(VarveError) -> Bool {
        let member = group.members[number]
        guard
            try ParityGroupReader.tolerantly({ () throws(VarveError) in try storage.size(of: member.object) })
                == UInt64(member.size)
        else { return false }
        var isReadable = true
        var hasher = Hasher()
        try forEachPiece(of: number, unreadable: { _ in isReadable = false }) { hasher.update($0) }
        return isReadable && hasher.finish() == member.hash
    }

    /// The member's bytes as they are, 1 MiB at a time, without what makes its last block whole.
    private func forEachPiece(
        of number: Int, unreadable: (Int) -> Void, _ body: (UnsafeRawBufferPointer) throws(VarveError) -> Void
    ) throws(VarveError) {
        let (blocks, size) = (reader.blocks(of: number), ParityShape.blockSize)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceSize, alignment: 4096)
        defer { buffer.deallocate() }
        for first in stride(from: blocks.lowerBound, to: blocks.upperBound, by: Self.pieceSize / size) {
            let count = min(Self.pieceSize / size, blocks.upperBound - first)
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * size)])
            try reader.read(from: first, into: piece, unreadable: unreadable)
            for block in first..<first + count {
                guard let slot = slots[block] else { continue }
                let target = UnsafeMutableRawBufferPointer(
                    rebasing: piece[(block - first) * size..<(block - first + 1) * size])
                guard try scratch.read(into: target, at: UInt64(slot * size)) == size else {
                    throw VarveError(.corrupt, "a temporary file became shorter", location: scratch.path)
                }
            }
            let end = Int(group.members[number].size) - (first - blocks.lowerBound) * size
            try body(UnsafeRawBufferPointer(rebasing: piece[..<min(end, piece.count)]))
        }
    }

    /// Blocks of the member that are bad, or of which nothing is known.
    private func scan(_ number: Int) throws(VarveError) -> [Int] {
        let (blocks, size) = (reader.blocks(of: number), ParityShape.blockSize)
        var damaged: [Int] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceSize, alignment: 4096)
        defer { buffer.deallocate() }
        for first in stride(from: blocks.lowerBound, to: blocks.upperBound, by: Self.pieceSize / size) {
            let count = min(Self.pieceSize / size, blocks.upperBound - first)
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * size)])
            let states = try readData(from: first, into: piece)
            damaged += (0..<count).filter { states[$0] != .good }.map { first + $0 }
        }
        return damaged
    }

    private func readData(from first: Int, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError)
        -> [State]
    {
        // A group may say that it has millions of blocks.
        try cancellation.check()
        let count = buffer.count / ParityShape.blockSize
        var states = [State](repeating: .good, count: count)
        try reader.read(from: first, into: buffer) { states[$0 - first] = .bad }
        // Beyond the end there are zeros, and they are good.
        for index in 0..<min(count, max(0, shape.blocks - first)) where states[index] == .good {
            states[index] = Self.state(buffer, index, checksums.data(first + index))
        }
        return states
    }

    private func readParity(from first: Int, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError)
        -> [State]
    {
        let size = ParityShape.blockSize
        return try (0..<buffer.count / size).map { (index) throws(VarveError) in
            let target = UnsafeMutableRawBufferPointer(rebasing: buffer[index * size..<(index + 1) * size])
            let offset = UInt64(group.file.offset(ofParity: first + index))
            let count = try ParityGroupReader.tolerantly { () throws(VarveError) in
                try storage.read(group.object, at: offset, into: target)
            }
            return count == size ? Self.state(buffer, index, checksums.parity(first + index)) : .bad
        }
    }

    private static func state(_ buffer: UnsafeMutableRawBufferPointer, _ index: Int, _ sum: UInt32?) -> State
    {
        guard let sum else { return .unknown }
        let block = buffer[index * ParityShape.blockSize..<(index + 1) * ParityShape.blockSize]
        return BlockChecksum.of(UnsafeRawBufferPointer(rebasing: block)) == sum ? .good : .bad
    }

    // MARK: Decoding

    /// Computes the blocks, or notes which can't be.
    private func decode(_ wanted: Set<Int>) throws(VarveError) {
        let rows = shape.dataPerStripe + shape.parityPerStripe
        let width = max(1, min(shape.stripes, ParityEncoder.memory / (rows * ParityShape.blockSize)))
        let stripes = Set(wanted.map { $0 % shape.stripes }).sorted()
        guard !stripes.isEmpty else { return }
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: rows * width * ParityShape.blockSize, alignment: 4096)
        defer { memory.deallocate() }
        var start = 0
        while start < stripes.count {
            var end = start + 1
            while end < stripes.count, end - start < width, stripes[end] == stripes[end - 1] + 1 { end += 1 }
            try decode(stripes[start]..<stripes[start] + end - start, wanted, memory)
            start = end
        }
    }

    private func decode(_ stripes: Range<Int>, _ wanted: Set<Int>, _ memory: UnsafeMutableRawBufferPointer)
        throws(VarveError)
    {
        let run = stripes.count * ParityShape.blockSize
        var states: [[State]] = []
        for row in 0..<shape.dataPerStripe + shape.parityPerStripe {
            let buffer = UnsafeMutableRawBufferPointer(rebasing: memory[row * run..<(row + 1) * run])
            let parity = row - shape.dataPerStripe
            states.append(
                parity < 0
                    ? try readData(from: row * shape.stripes + stripes.lowerBound, into: buffer)
                    : try readParity(from: parity * shape.stripes + stripes.lowerBound, into: buffer))
        }
        for (index, stripe) in stripes.enumerated() {
            let blocks = (0..<states.count).map { row in
                memory.baseAddress! + row * run + index * ParityShape.blockSize
            }
            try decode(stripe, states.map { $0[index] }, blocks, wanted)
        }
    }

    /// Blocks of which nothing is known count as bad as long as there is parity for them, and as good else: the hash
    /// of the whole object decides.
    private func decode(
        _ stripe: Int, _ states: [State], _ blocks: [UnsafeMutableRawPointer], _ wanted: Set<Int>
    ) throws(VarveError) {
        let rows = (0..<shape.dataPerStripe)
        var missing = rows.filter { states[$0] == .bad }
        let parityRows = 0..<shape.parityPerStripe
        let known = parityRows.filter { states[shape.dataPerStripe + $0] == .good }
        let parity = known + parityRows.filter { states[shape.dataPerStripe + $0] == .unknown }
        if missing.count > parity.count {
            for row in missing where wanted.contains(row * shape.stripes + stripe) {
                lost[row * shape.stripes + stripe] = missing.count - parity.count
            }
            return
        }
        let spare = max(0, known.count - missing.count)
        missing = (missing + rows.filter { states[$0] == .unknown }.prefix(spare)).sorted()
        if missing.isEmpty { return }
        let used = Array(parity.prefix(missing.count))
        let decoder = decoder(missing, used)
        decoder.decode(
            decoder.sources.map { UnsafeRawPointer(blocks[$0]) }, into: missing.map { blocks[$0] },
            length: ParityShape.blockSize)
        for row in missing where wanted.contains(row * shape.stripes + stripe) {
            let block = UnsafeRawBufferPointer(start: blocks[row], count: ParityShape.blockSize)
            try scratch.write(block, at: UInt64(slots.count * ParityShape.blockSize))
            slots[row * shape.stripes + stripe] = slots.count
        }
    }

    private func decoder(_ missing: [Int], _ parity: [Int]) -> ErasureCode.Decoder {
        if let last = lastDecoder, last.missing == missing, last.parity == parity { return last.decoder }
        let decoder = code.decoder(missing: missing, parity: parity)
        lastDecoder = (missing, parity, decoder)
        return decoder
    }

    // MARK: The result

    private func finish(_ number: Int, damaged: [Int], isTrial: Bool) throws(VarveError)
        -> ParityHealer.ObjectReport
    {
        let member = group.members[number]
        var outcome = ParityHealer.ObjectReport(object: member.object, result: .healed)
        outcome.damaged = ranges(damaged, of: number)
        var shortfall = ParityHealer.Shortfall()
        shortfall.budget = shape.parityPerStripe
        let beyond = damaged.filter { lost[$0] != nil }
        if beyond.isEmpty {
            do {
                try check(number)
                if !isTrial {
                    try storage.replace(member.object) { (append) throws(VarveError) in
                        try check(number, append)
                    }
                }
                return outcome
            } catch let error where error.code == Self.wrongBytes {
                shortfall.isWrong = true
            }
        } else {
            shortfall.lost = ranges(beyond, of: number)
            let excess = Dictionary(
                beyond.map { ($0 % shape.stripes, lost[$0] ?? 0) }, uniquingKeysWith: { first, _ in first })
            for count in excess.values { shortfall.stripes[count, default: 0] += 1 }
        }
        outcome.result = .beyond
        outcome.shortfall = shortfall
        return outcome
    }

    private static let wrongBytes = VarveError.Code(rawValue: "wrongBytes")

    /// - Throws: `wrongBytes` unless the bytes that were given are what the name promises.
    private func check(
        _ number: Int, _ append: (UnsafeRawBufferPointer) throws(VarveError) -> Void = { _ in }
    ) throws(VarveError) {
        var hasher = Hasher()
        var isReadable = true
        try forEachPiece(of: number, unreadable: { [slots] in isReadable = isReadable && slots[$0] != nil }) {
            (piece) throws(VarveError) in
            hasher.update(piece)
            try append(piece)
        }
        guard isReadable, hasher.finish() == group.members[number].hash else {
            throw VarveError(Self.wrongBytes, "what parity gives is not \(group.members[number].object)")
        }
    }

    /// Byte ranges of a member, neighbours together.
    private func ranges(_ blocks: [Int], of number: Int) -> [Range<UInt64>] {
        let (first, size) = (reader.starts[number], ParityShape.blockSize)
        var ranges: [Range<UInt64>] = []
        for block in blocks.sorted() {
            let start = UInt64((block - first) * size)
            let end = min(start + UInt64(size), UInt64(group.members[number].size))
            if let last = ranges.last, last.upperBound == start {
                ranges[ranges.count - 1] = last.lowerBound..<end
            } else {
                ranges.append(start..<end)
            }
        }
        return ranges
    }
}
