import Synchronization
import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveStorage

/// Looks closer at an object that is not good: which bytes of it are bad.
final class MediaExaminer: Sendable {
    struct Examination {
        var problem: String
        /// Where they can be told; in order, without overlaps.
        var ranges: [Range<UInt64>]
    }

    private static let block = 4096
    private static let pieceSize = 1 << 20
    /// A failed read may take a disk many seconds: after so many the rest is told in pieces and not in blocks.
    private static let patience = 256
    /// More are not told of one object.
    private static let rangeLimit = 1024

    private let storage: any Storage
    private let throttle: Throttle
    /// One object at a time: it may be held whole.
    private let turn = Mutex(())

    init(_ storage: any Storage, _ throttle: Throttle) {
        self.storage = storage
        self.throttle = throttle
    }

    /// Of an object whose reading failed.
    enum SecondReading {
        case good
        case bad(Examination)
        /// Nothing is known of it: what failed is not the disk's fault.
        case unread(VarveError)
        case interrupted
    }

    /// Reads piece by piece, and what fails block by block.
    func readAgain(_ object: ObjectName, _ size: UInt64, _ error: VarveError) -> SecondReading {
        turn.withLock { _ in
            do throws(VarveError) {
                return try readOnce(object, size, error)
            } catch let error where error.isOfMedium {
                return .bad(Examination(problem: error.message, ranges: []))
            } catch {
                return .unread(error)
            }
        }
    }

    /// - Throws: what is not the disk's fault, and that nothing of the object can be had.
    private func readOnce(_ object: ObjectName, _ size: UInt64, _ error: VarveError) throws(VarveError)
        -> SecondReading
    {
        let source = try storage.openMedia(object)
        var ranges: [Range<UInt64>] = []
        var failures = 0
        var hasher = Hasher()
        var problem = error.message
        var other: VarveError?
        func attempt(_ offset: UInt64, _ room: UnsafeMutableRawBufferPointer) -> Int? {
            do {
                return try source.read(at: offset, into: room)
            } catch {
                if error.isOfMedium {
                    problem = error.message
                } else {
                    other = other ?? error
                }
                return nil
            }
        }
        let isDone = forEachPiece(source, size) { offset, piece, count in
            if let count {
                return hasher.update(UnsafeRawBufferPointer(rebasing: piece[..<count]))
            }
            let end = min(offset + UInt64(piece.count), size)
            for start in stride(from: offset, to: end, by: Self.block) {
                let block = UnsafeMutableRawBufferPointer(rebasing: piece[..<Self.block])
                let wanted = Int(min(UInt64(Self.block), end - start))
                let count = failures < Self.patience ? attempt(start, block) : nil
                if let count, count >= wanted {
                    hasher.update(UnsafeRawBufferPointer(rebasing: block[..<wanted]))
                } else {
                    failures += 1
                    Self.add(start..<min(start + UInt64(Self.block), end), to: &ranges)
                }
            }
        }
        guard isDone else { return .interrupted }
        if let other { throw other }
        if ranges.isEmpty {
            if hasher.finish() == object.contentHash { return .good }
            return .bad(
                Examination(
                    problem: "its bytes do not match its name",
                    ranges: object.kind == .pack ? badBlobs(of: object) : []))
        }
        return .bad(Examination(problem: problem, ranges: ranges))
    }

    /// After a wrong hash: compares with what the page cache holds, if that is good; else asks a pack's own blobs.
    func mismatch(_ object: ObjectName, _ size: UInt64) -> Examination? {
        turn.withLock { _ in
            let problem = "its bytes do not match its name"
            guard let source = try? storage.openMedia(object) else {
                return Examination(problem: problem, ranges: [])
            }
            var (onMedium, inCache) = (Hasher(), Hasher())
            var ranges: [Range<UInt64>] = []
            let cached = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceSize, alignment: 4096)
            defer { cached.deallocate() }
            let isDone = forEachPiece(source, size) { offset, piece, count in
                guard let count else { return }
                let bytes = UnsafeRawBufferPointer(rebasing: piece[..<count])
                onMedium.update(bytes)
                let room = UnsafeMutableRawBufferPointer(rebasing: cached[..<count])
                guard (try? storage.read(object, at: offset, into: room)) == count else { return }
                inCache.update(UnsafeRawBufferPointer(room))
                Self.compare(bytes, UnsafeRawBufferPointer(room), offset, &ranges)
            }
            guard isDone else { return nil }
            if inCache.finish() == object.contentHash, !ranges.isEmpty {
                return Examination(
                    problem: problem + "; the page cache still holds the right bytes: copy this file now",
                    ranges: ranges)
            }
            if onMedium.finish() == object.contentHash {
                return Examination(
                    problem: problem
                        + ", but a second reading gave the right bytes: check memory, cable and controller",
                    ranges: [])
            }
            return Examination(problem: problem, ranges: object.kind == .pack ? badBlobs(of: object) : [])
        }
    }

    /// - Parameter body: gets nil for a piece that can't be read.
    /// - Returns: false if interrupted.
    private func forEachPiece(
        _ source: any MediaObject, _ size: UInt64,
        _ body: (_ offset: UInt64, _ piece: UnsafeMutableRawBufferPointer, _ count: Int?) -> Void
    ) -> Bool {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceSize, alignment: 4096)
        defer { memory.deallocate() }
        for offset in stride(from: 0, to: size, by: Self.pieceSize) {
            let wanted = Int(min(UInt64(Self.pieceSize), size - offset))
            guard (try? throttle.take(UInt64(wanted))) != nil else { return false }
            let length = (wanted + Self.block - 1) / Self.block * Self.block
            let piece = UnsafeMutableRawBufferPointer(rebasing: memory[..<length])
            body(offset, piece, (try? source.read(at: offset, into: piece)).map { min($0, wanted) })
        }
        return true
    }

    private static func compare(
        _ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer, _ offset: UInt64,
        _ ranges: inout [Range<UInt64>]
    ) {
        for start in stride(from: 0, to: a.count, by: block) {
            let range = start..<min(start + block, a.count)
            if !a[range].elementsEqual(b[range]) {
                add(offset + UInt64(range.lowerBound)..<offset + UInt64(range.upperBound), to: &ranges)
            }
        }
    }

    private static func add(_ range: Range<UInt64>, to ranges: inout [Range<UInt64>]) {
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else if ranges.count < rangeLimit {
            ranges.append(range)
        }
    }

    /// Of a pack with a wrong hash: blobs that are not what their ids promise, and where no blob can be read. A delta
    /// can't be told without its base, so if nothing else is bad, it is one of the deltas.
    private func badBlobs(of object: ObjectName) -> [Range<UInt64>] {
        guard let pack = try? storage.readAll(object, limit: Pack.maximumLength) else { return [] }
        return pack.withUnsafeBytes { bytes in
            let contents = PackContents(scanning: bytes)
            var bad = contents.damaged.map { UInt64($0.lowerBound)..<UInt64($0.upperBound) }
            var deltas: [Range<UInt64>] = []
            let decoder = BlobDecoder()
            for entry in contents.entries {
                let start = Int(entry.offset)
                let range = UInt64(start)..<UInt64(start + entry.header.totalLength)
                if entry.header.base != nil {
                    deltas.append(range)
                } else if !Self.isGood(entry, bytes, decoder) {
                    bad.append(range)
                }
            }
            if bad.isEmpty { bad = Self.outside(contents.entries, bytes) }
            var merged: [Range<UInt64>] = []
            for range in (bad.isEmpty ? deltas : bad).sorted(by: { $0.lowerBound < $1.lowerBound }) {
                Self.add(range, to: &merged)
            }
            return merged
        }
    }

    private static func isGood(
        _ entry: Pack.Entry, _ bytes: UnsafeRawBufferPointer, _ decoder: BlobDecoder
    ) -> Bool {
        let start = Int(entry.offset)
        let blob = UnsafeRawBufferPointer(rebasing: bytes[start..<start + entry.header.totalLength])
        let payload = UnsafeRawBufferPointer(rebasing: blob[entry.header.length...])
        let decoded = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, Int(entry.header.decodedLength)), alignment: 16)
        defer { decoded.deallocate() }
        let room = UnsafeMutableRawBufferPointer(rebasing: decoded[..<Int(entry.header.decodedLength)])
        guard (try? decoder.decode(entry.header, payload: payload, into: room)) != nil else { return false }
        return Hasher.id(of: UnsafeRawBufferPointer(room), entry.header.type) == entry.header.id
    }

    /// The header in front of the blobs, or the directory behind them, if it is that.
    private static func outside(_ entries: [Pack.Entry], _ bytes: UnsafeRawBufferPointer) -> [Range<UInt64>] {
        let header = UnsafeRawBufferPointer(rebasing: bytes.prefix(Pack.headerLength))
        if (try? Pack.Header(header)) == nil { return [0..<UInt64(header.count)] }
        let end = entries.last.map { Int($0.offset) + $0.header.totalLength } ?? Pack.headerLength
        guard end < bytes.count else { return [] }
        let isWhole =
            (try? PackDirectory.Trailer(
                UnsafeRawBufferPointer(rebasing: bytes.suffix(Pack.trailerLength)), packLength: bytes.count))
            .map { trailer -> Bool in
                let range = trailer.directoryOffset..<trailer.directoryOffset + trailer.directoryLength
                guard range.upperBound <= bytes.count else { return false }
                return (try? PackDirectory(UnsafeRawBufferPointer(rebasing: bytes[range]), trailer: trailer))
                    != nil
            } ?? false
        return isWhole ? [] : [UInt64(end)..<UInt64(bytes.count)]
    }
}
