import CIsal
import VarveFormat

/// Reed–Solomon over GF(2^8) with a Cauchy matrix (ISA-L): of `dataCount` blocks and `parityCount` more, any
/// `dataCount` give back the others. Every square part of a Cauchy matrix has an inverse, which is not so of all that
/// `gf_gen_rs_matrix` makes (its comment names the bounds).
package struct ErasureCode: Sendable {
    package static let maximumBlocks = 255
    /// Slices of all of a stripe's blocks stay in the second-level cache while row after row is computed.
    private static let sliceLength = 4096

    package let dataCount: Int
    package let parityCount: Int
    /// A row of `dataCount` coefficients for each parity block.
    private let coefficients: [UInt8]
    private let tables: [UInt8]

    /// - Precondition: at least one of each, and no more than `maximumBlocks` in all.
    package init(dataCount: Int, parityCount: Int) {
        precondition(dataCount >= 1 && parityCount >= 1 && dataCount + parityCount <= Self.maximumBlocks)
        self.dataCount = dataCount
        self.parityCount = parityCount
        var matrix = [UInt8](repeating: 0, count: (dataCount + parityCount) * dataCount)
        gf_gen_cauchy1_matrix(&matrix, Int32(dataCount + parityCount), Int32(dataCount))
        // The first rows are those of the identity.
        coefficients = Array(matrix[(dataCount * dataCount)...])
        tables = Self.tables(coefficients, sources: dataCount)
    }

    /// Computes the parity of so many bytes.
    ///
    /// - Precondition: as many pointers as there are blocks, to `length` bytes each.
    package func encode(_ data: [UnsafeRawPointer], into parity: [UnsafeMutableRawPointer], length: Int) {
        precondition(data.count == dataCount && parity.count == parityCount)
        Self.apply(tables, data, parity, length)
    }

    /// How to compute some data blocks from the others and from as many parity blocks.
    package struct Decoder: Sendable {
        /// Which blocks it takes: data blocks from 0 on, parity blocks from `dataCount` on.
        package let sources: [Int]
        /// Which blocks it gives.
        package let missing: [Int]
        fileprivate let tables: [UInt8]

        /// - Precondition: pointers to the blocks in the order of `sources` and of `missing`, `length` bytes each.
        package func decode(
            _ blocks: [UnsafeRawPointer], into targets: [UnsafeMutableRawPointer], length: Int
        ) {
            precondition(blocks.count == sources.count && targets.count == missing.count)
            ErasureCode.apply(tables, blocks, targets, length)
        }
    }

    /// - Precondition: distinct numbers, of parity blocks from 0 on, and at least as many of them as are missing.
    package func decoder(missing: [Int], parity: [Int]) -> Decoder {
        precondition(!missing.isEmpty && missing.count <= parity.count)
        let parity = Array(parity.prefix(missing.count))
        let count = missing.count
        // What is missing, in terms of what it adds to each parity block: a small system, not one of all blocks.
        var system = parity.flatMap { row in missing.map { coefficients[row * dataCount + $0] } }
        var inverse = [UInt8](repeating: 0, count: count * count)
        let code = gf_invert_matrix(&system, &inverse, Int32(count))
        precondition(code == 0, "a part of a Cauchy matrix has an inverse")
        let absent = Set(missing)
        let present = (0..<dataCount).filter { !absent.contains($0) }
        var rows: [UInt8] = []
        rows.reserveCapacity(count * dataCount)
        for row in 0..<count {
            let factors = inverse[row * count..<(row + 1) * count]
            for block in present {
                rows.append(
                    zip(factors, parity).reduce(0) { sum, term in
                        sum ^ gf_mul(term.0, coefficients[term.1 * dataCount + block])
                    })
            }
            rows.append(contentsOf: factors)
        }
        return Decoder(
            sources: present + parity.map { $0 + dataCount }, missing: missing,
            tables: Self.tables(rows, sources: dataCount))
    }

    private static func tables(_ coefficients: [UInt8], sources: Int) -> [UInt8] {
        var coefficients = coefficients
        var tables = [UInt8](repeating: 0, count: 32 * coefficients.count)
        ec_init_tables(Int32(sources), Int32(coefficients.count / sources), &coefficients, &tables)
        return tables
    }

    private static func apply(
        _ tables: [UInt8], _ sources: [UnsafeRawPointer], _ targets: [UnsafeMutableRawPointer], _ length: Int
    ) {
        tables.withUnsafeBufferPointer { tables in
            // Neither tables nor sources are written to; the library's types do not say so.
            let tables = UnsafeMutablePointer(mutating: tables.baseAddress)
            for offset in stride(from: 0, to: length, by: sliceLength) {
                var inputs = sources.map { source -> UnsafeMutablePointer<UInt8>? in
                    UnsafeMutableRawPointer(mutating: source + offset).assumingMemoryBound(to: UInt8.self)
                }
                var outputs = targets.map { target -> UnsafeMutablePointer<UInt8>? in
                    (target + offset).assumingMemoryBound(to: UInt8.self)
                }
                ec_encode_data(
                    Int32(min(sliceLength, length - offset)), Int32(inputs.count), Int32(outputs.count),
                    tables, &inputs, &outputs)
            }
        }
    }
}

/// `CRC32C` for the bulk of data: the processor's instruction, where it has one.
package enum BlockChecksum {
    private static let zeros = [UInt8](repeating: 0, count: ParityShape.blockSize)

    /// Of a block; the last one of an object may be shorter, and zeros make it whole.
    ///
    /// - Precondition: at most `ParityShape.blockSize` bytes.
    package static func of(_ block: UnsafeRawBufferPointer) -> UInt32 {
        precondition(block.count <= ParityShape.blockSize)
        let sum = update(~0, block)
        return ~zeros.withUnsafeBytes {
            update(sum, UnsafeRawBufferPointer(rebasing: $0[..<(ParityShape.blockSize - block.count)]))
        }
    }

    private static func update(_ sum: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return sum }
        let pointer = UnsafeMutableRawPointer(mutating: start).assumingMemoryBound(to: UInt8.self)
        return crc32_iscsi(pointer, Int32(bytes.count), sum)
    }
}
