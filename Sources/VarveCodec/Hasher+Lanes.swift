import CBlake2
import CBlake2Lanes
import Glibc
import VarveFormat

/// Many blobs at once. One BLAKE2b is a chain of dependent steps that leaves most of a core idle; eight of them
/// fill its vector registers. The ids are the same as those of `id(of:_:)`.
extension Hasher {
    /// How several buffers are hashed; the fastest first.
    package enum Kernel: String, CaseIterable, Sendable {
        case avx512
        case avx2
        /// One by one through libb2: on every machine.
        case portable

        /// Whether this build and this machine can run it.
        package var isSupported: Bool { code.map(varve_lanes_supported) ?? true }

        /// Nil: not one of the kernels of `CBlake2Lanes`.
        var code: varve_lanes_kernel? {
            switch self {
            case .avx512: VARVE_LANES_AVX512
            case .avx2: VARVE_LANES_AVX2
            case .portable: nil
            }
        }
    }

    /// The kernel in use, chosen once: the fastest that this machine runs and that agrees with libb2 on a few
    /// buffers. `VARVE_HASH_KERNEL=portable|avx2|avx512` in the process environment chooses no faster one than
    /// the one it names; another value is as if it were not set.
    package static let kernel = fastestKernel(
        limit: getenv("VARVE_HASH_KERNEL").flatMap { Kernel(rawValue: String(cString: $0)) })

    /// How many buffers of one length make `ids(of:_:into:)` fastest; 1 if it hashes them one by one.
    package static var lanes: Int { kernel == .portable ? 1 : Int(VARVE_LANES) }

    /// How many buffers to bring together where they can be had: enough for the widest kernel.
    package static let batchSize = Int(VARVE_LANES)

    /// The ids of many blobs of one type: `ids[i]` becomes what `id(of: extents[i], type)` returns.
    ///
    /// Buffers of the same length are hashed together, up to `lanes` at once, wherever they stand among the
    /// others (within runs of 64). So give `lanes` buffers of one length or a multiple. Nothing is allocated.
    ///
    /// - Precondition: `ids.count == extents.count`
    package static func ids(
        of extents: [UnsafeRawBufferPointer], _ type: BlobType, into ids: inout [ContentID]
    ) {
        Self.ids(of: extents, type, into: &ids, kernel: kernel)
    }

    /// - Precondition: `kernel.isSupported`
    package static func ids(
        of extents: [UnsafeRawBufferPointer], _ type: BlobType, into ids: inout [ContentID], kernel: Kernel
    ) {
        precondition(ids.count == extents.count)
        guard let code = kernel.code else {
            for index in extents.indices { ids[index] = id(of: extents[index], type) }
            return
        }
        let initial = Hasher(type).state.h
        // Capacities are literals, here and below: only then the memory is on the stack.
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 8) { group in
            var start = 0
            while start < extents.count {
                let count = min(extents.count - start, 64)
                var pending = UInt64.max >> UInt64(64 - count)
                while pending != 0 {
                    let size = takeGroup(&pending, of: extents, from: start, into: group)
                    if size == 1 {
                        ids[group[0]] = id(of: extents[group[0]], type)
                    } else {
                        hash(group[..<size], of: extents, initial, code, into: &ids)
                    }
                }
                start += count
            }
        }
    }

    /// Moves the first pending buffer, and those of its length up to a full group, from `pending` (bit i: the
    /// buffer at `start + i`) to `group`.
    /// - Returns: how many; at least 1.
    private static func takeGroup(
        _ pending: inout UInt64, of extents: [UnsafeRawBufferPointer], from start: Int,
        into group: UnsafeMutableBufferPointer<Int>
    ) -> Int {
        let length = extents[start + pending.trailingZeroBitCount].count
        var size = 0
        var rest = pending
        while rest != 0, size < group.count {
            let bit = rest.trailingZeroBitCount
            rest &= rest &- 1
            if extents[start + bit].count == length {
                group[size] = start + bit
                size += 1
                pending &= ~(1 << UInt64(bit))
            }
        }
        return size
    }

    private typealias Words = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    /// - Precondition: the buffers of `group` (1...8) have one length.
    private static func hash(
        _ group: Slice<UnsafeMutableBufferPointer<Int>>, of extents: [UnsafeRawBufferPointer],
        _ initial: Words, _ kernel: varve_lanes_kernel, into ids: inout [ContentID]
    ) {
        let size = Int(VARVE_LANES_DIGEST)
        withUnsafeTemporaryAllocation(of: UnsafePointer<UInt8>?.self, capacity: 8) { pointers in
            for (lane, index) in group.enumerated() {
                pointers.initializeElement(
                    at: lane, to: extents[index].baseAddress?.assumingMemoryBound(to: UInt8.self))
            }
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 8 * 32) { digests in
                withUnsafeBytes(of: initial) { words in
                    varve_lanes_hash(
                        kernel, words.baseAddress!.assumingMemoryBound(to: UInt64.self), pointers.baseAddress,
                        UInt32(group.count), extents[group[0]].count, digests.baseAddress)
                }
                for (lane, index) in group.enumerated() {
                    ids[index] = ContentID(
                        UnsafeRawBufferPointer(
                            rebasing: UnsafeRawBufferPointer(digests)[(lane * size)...].prefix(size)))
                }
            }
        }
    }
}

// MARK: - The choice

extension Hasher {
    /// The fastest kernel, no faster than `limit`, that this machine can run and that agrees with `reference`.
    package static func fastestKernel(
        limit: Kernel?, reference: (UnsafeRawBufferPointer, BlobType) -> ContentID = { id(of: $0, $1) }
    ) -> Kernel {
        let candidates = Kernel.allCases.drop { limit != nil && $0 != limit && $0 != .portable }
        return candidates.first { kernel in
            kernel == .portable || kernel.isSupported && agrees(kernel, with: reference)
        } ?? .portable
    }

    /// Whether the kernel's ids are those of `reference`, for lengths around the block size of 128 bytes and one
    /// extent of the usual size, few buffers and a full group. About 2 ms.
    private static func agrees(
        _ kernel: Kernel, with reference: (UnsafeRawBufferPointer, BlobType) -> ContentID
    ) -> Bool {
        let longest = 131_072
        // Each lane begins 61 bytes after the one before: different contents, odd addresses, little memory.
        let step = 61
        let bytes = (0..<longest + Int(VARVE_LANES) * step).map {
            UInt8(truncatingIfNeeded: $0 &* 167 ^ $0 >> 8)
        }
        return bytes.withUnsafeBytes { bytes in
            func agrees(_ length: Int, _ count: Int, _ type: BlobType) -> Bool {
                let extents = (0..<count).map {
                    UnsafeRawBufferPointer(rebasing: bytes[($0 * step)...].prefix(length))
                }
                var ids = Array(repeating: ContentID.zero, count: count)
                Self.ids(of: extents, type, into: &ids, kernel: kernel)
                return zip(extents, ids).allSatisfy { reference($0, type) == $1 }
            }
            let short = [0, 1, 127, 128, 129, 257]
            return BlobType.allCases.allSatisfy { type in
                short.allSatisfy { agrees($0, 3, type) && agrees($0, Int(VARVE_LANES), type) }
            } && agrees(longest, 3, .data) && agrees(longest, Int(VARVE_LANES), .data)
        }
    }
}
