import Synchronization
import VarveFiles
import VarveFormat
import VarveStorage

/// Reads several objects ahead of whoever hashes them: on a thread of its own, piece after piece, the objects side by
/// side, in the order in which `Hasher.names(ofObjects:)` asks for them. So the disk has something to do meanwhile.
final class MediaPipe: Sendable {
    static let pieceSize = 1 << 20
    /// Pieces that are read ahead.
    private static let slots = 4

    private struct Piece {
        var object: Int
        var slot: Int
        var result: Result<Int, VarveError>
    }

    private let sources: [Result<any MediaObject, VarveError>]
    private let sizes: [UInt64]
    private let throttle: Throttle
    /// There is no thread to read ahead: each piece is read when it is taken.
    private let isAlone = Atomic(false)
    nonisolated(unsafe) private let memory = UnsafeMutableRawBufferPointer.allocate(
        byteCount: slots * pieceSize, alignment: 4096)
    private let free = BoundedQueue<Int>(capacity: slots)
    private let filled = BoundedQueue<Piece>(capacity: slots)

    /// - Parameter throttle: asked before each read; throws when the run was interrupted.
    init(_ sources: [Result<any MediaObject, VarveError>], sizes: [UInt64], throttle: Throttle) {
        self.sources = sources
        self.sizes = sizes
        self.throttle = throttle
        for slot in 0..<Self.slots { _ = free.push(slot) }
    }

    deinit { memory.deallocate() }

    /// Runs `body`, which takes every piece of every object unless taking one of it has thrown.
    func whileReading<R>(_ body: () -> R) -> R {
        let reader = try? WorkerThread { [self] in readAll() }
        if reader == nil { isAlone.store(true, ordering: .relaxed) }
        defer { reader?.join() }
        return body()
    }

    private func readAll() {
        var open = Array(sizes.indices)
        var position: UInt64 = 0
        while !open.isEmpty {
            for object in open {
                guard let slot = free.pop() else { return }
                let result = Result { () throws(VarveError) in try read(object, position, slot) }
                if case .failure = result { open.removeAll { $0 == object } }
                guard filled.push(Piece(object: object, slot: slot, result: result)) else { return }
            }
            position += UInt64(Self.pieceSize)
            open.removeAll { sizes[$0] <= position }
        }
    }

    private func read(_ object: Int, _ position: UInt64, _ slot: Int) throws(VarveError) -> Int {
        let source = try sources[object].get()
        let wanted = Int(min(UInt64(Self.pieceSize), sizes[object] - position))
        guard wanted > 0 else { return 0 }
        try throttle.take(UInt64(wanted))
        // Whole blocks: at the end of the object the file has no more than what is wanted, or it grew.
        let length = (wanted + 4095) / 4096 * 4096
        let count = try source.read(
            at: position,
            into: UnsafeMutableRawBufferPointer(
                rebasing: memory[slot * Self.pieceSize..<slot * Self.pieceSize + length]))
        guard count >= wanted else { throw ShortRead(size: sizes[object]).error }
        return wanted
    }

    /// The next piece, which must be the one of this object at this offset.
    func take(_ object: Int, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(VarveError)
    {
        if isAlone.load(ordering: .relaxed) {
            return copy(from: 0, count: try read(object, offset, 0), to: buffer)
        }
        guard let piece = filled.pop() else { preconditionFailure("the pipe is never closed") }
        precondition(piece.object == object)
        defer { _ = free.push(piece.slot) }
        copy(from: piece.slot, count: try piece.result.get(), to: buffer)
    }

    private func copy(from slot: Int, count: Int, to buffer: UnsafeMutableRawBufferPointer) {
        precondition(count == buffer.count)
        buffer.copyMemory(
            from: UnsafeRawBufferPointer(
                rebasing: memory[slot * Self.pieceSize..<slot * Self.pieceSize + count]))
    }
}

/// An object ended before its size.
struct ShortRead {
    static let code = VarveError.Code(rawValue: "short")
    var size: UInt64

    var error: VarveError { VarveError(Self.code, "it became shorter than its \(size) bytes") }
}
