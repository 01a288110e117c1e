import CBlake2Lanes
import VarveFormat

extension Hasher {
    /// The names of several objects that are read piece by piece, hashed side by side: what `name(of:)` gives for
    /// the bytes of each. The objects may differ in length; those of like length make the best use of a core.
    ///
    /// - Parameters:
    ///   - sizes: of the objects, in bytes; 1 to `batchSize` of them.
    ///   - memory: holds one piece of each object; at least 128 bytes for each. 1 MiB for each is plenty.
    ///   - read: fills the whole buffer with bytes of the object from the offset on.
    /// - Returns: for each object its name, or what `read` threw.
    package static func names<E: Error>(
        ofObjects sizes: [UInt64], memory: UnsafeMutableRawBufferPointer,
        read: (_ object: Int, _ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) throws(E) -> Void
    ) -> [Result<ContentID, E>] {
        names(ofObjects: sizes, memory: memory, kernel: kernel, read: read)
    }

    /// - Precondition: `kernel.isSupported`
    package static func names<E: Error>(
        ofObjects sizes: [UInt64], memory: UnsafeMutableRawBufferPointer, kernel: Kernel,
        read: (_ object: Int, _ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) throws(E) -> Void
    ) -> [Result<ContentID, E>] {
        precondition((1...batchSize).contains(sizes.count) && memory.count >= sizes.count * blockSize)
        var streams = Streams<E>(sizes: sizes, memory: memory, kernel: kernel)
        while streams.isAnyOpen {
            streams.fill(read)
            streams.hash()
        }
        return streams.results
    }

    fileprivate static let blockSize = 128
}

/// Objects on their way through the lanes, all at the same position; those that end drop out.
private struct Streams<E: Error> {
    private let sizes: [UInt64]
    private let memory: UnsafeMutableRawBufferPointer
    private let pieceSize: Int
    private let kernel: varve_lanes_kernel?
    /// Without a kernel, one of libb2's for each object.
    private var hashers: [Hasher]
    /// With one, its lanes side by side.
    private var state: [UInt64]
    /// Where the pieces begin in the objects.
    private var position: UInt64 = 0
    private var open: [Int]
    private(set) var results: [Result<ContentID, E>]

    init(sizes: [UInt64], memory: UnsafeMutableRawBufferPointer, kernel: Hasher.Kernel) {
        self.sizes = sizes
        self.memory = memory
        self.kernel = kernel.code
        pieceSize = memory.count / sizes.count / Hasher.blockSize * Hasher.blockSize
        open = Array(sizes.indices)
        hashers = sizes.map { _ in Hasher() }
        state = withUnsafeBytes(of: Hasher().state.h) { words in
            words.bindMemory(to: UInt64.self).flatMap { Array(repeating: $0, count: Hasher.batchSize) }
        }
        results = sizes.map { _ in .success(.zero) }
    }

    var isAnyOpen: Bool { !open.isEmpty }

    private func piece(_ object: Int) -> UnsafeMutableRawBufferPointer {
        let count = Int(min(UInt64(pieceSize), sizes[object] - position))
        return UnsafeMutableRawBufferPointer(
            rebasing: memory[object * pieceSize..<object * pieceSize + count])
    }

    mutating func fill(_ read: (Int, UInt64, UnsafeMutableRawBufferPointer) throws(E) -> Void) {
        for object in open {
            do throws(E) {
                try read(object, position, piece(object))
            } catch {
                results[object] = .failure(error)
                open.removeAll { $0 == object }
            }
        }
    }

    /// Takes the pieces in; finishes the objects that end with theirs.
    mutating func hash() {
        var done = 0
        while let shortest = open.map({ piece($0).count }).min() {
            let ending = open.filter { position + UInt64(shortest) == sizes[$0] }
            // The last block, full or not, is hashed in another way.
            let end = ending.isEmpty ? shortest : max(0, shortest - 1) / Hasher.blockSize * Hasher.blockSize
            update(done..<end)
            done = end
            for object in ending { finish(object, from: done) }
            open.removeAll(where: ending.contains)
            if ending.isEmpty { break }
        }
        position += UInt64(pieceSize)
    }

    /// - Precondition: whole blocks, which every open object has.
    private mutating func update(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        guard let kernel else {
            for object in open {
                hashers[object].update(UnsafeRawBufferPointer(rebasing: piece(object)[range]))
            }
            return
        }
        let base = UnsafeRawPointer(memory.baseAddress!).assumingMemoryBound(to: UInt8.self)
        let lanes = open[open.count - 1] + 1
        withUnsafeTemporaryAllocation(of: UnsafePointer<UInt8>?.self, capacity: 8) { pointers in
            // A lane whose object has ended goes over its old bytes once more; its state is not looked at again.
            for object in 0..<lanes {
                pointers.initializeElement(at: object, to: base + object * pieceSize + range.lowerBound)
            }
            varve_lanes_update(
                kernel, &state, pointers.baseAddress, UInt32(lanes), range.count / Hasher.blockSize,
                position + UInt64(range.lowerBound))
        }
    }

    private mutating func finish(_ object: Int, from start: Int) {
        var hasher = hashers[object]
        if kernel != nil {
            hasher = Hasher(
                resuming: (0..<8).map { state[$0 * Hasher.batchSize + object] },
                hashed: position + UInt64(start))
        }
        hasher.update(UnsafeRawBufferPointer(rebasing: piece(object)[start...]))
        results[object] = .success(hasher.finish())
    }
}
