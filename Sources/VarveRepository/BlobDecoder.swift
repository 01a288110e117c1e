import VarveCodec
import VarveFormat

/// Turns stored blobs into bytes. One per thread.
///
/// What it gives is as good as what it was given: whoever asked for an id checks the result against it.
public final class BlobDecoder {
    private let decompressor = Decompressor()
    private var prefix: [UInt8] = []
    private var changed: [UInt8] = []

    public init() {}

    /// A blob that stands alone.
    ///
    /// - Parameters:
    ///   - payload: exactly the stored bytes behind the header.
    ///   - target: exactly `header.decodedLength` bytes.
    public func decode(
        _ header: Pack.BlobHeader, payload: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws {
        switch header.encoding {
        case .raw: target.copyMemory(from: payload)
        case .zstd: try decompressor.decompress(payload, into: target)
        case .delta: throw VarveError(.corrupt, "blob \(header.id.short) is a delta and has no base")
        }
    }

    /// Makes the next version out of the one before, in place.
    ///
    /// - Parameter version: the decoded base; afterwards the decoded delta, which may be longer or shorter.
    /// - Returns: how many bytes were decoded.
    @discardableResult
    public func apply(
        _ header: Pack.BlobHeader, payload: UnsafeRawBufferPointer, to version: inout [UInt8]
    ) throws -> Int {
        let length = Int(header.decodedLength)
        let delta = try DeltaPayload(prefixOf: payload, decodedLength: length)
        guard version.count == delta.baseLength else {
            throw VarveError(.corrupt, "blob \(header.id.short) is a delta, and its base is not what it says")
        }
        let frame = UnsafeRawBufferPointer(rebasing: payload[delta.frameOffset...])
        guard delta.ranges.isEmpty == frame.isEmpty else {
            throw VarveError(
                .corrupt, "blob \(header.id.short) has changes and no bytes, or bytes and no changes")
        }
        prefix.removeAll(keepingCapacity: true)
        for range in delta.prefixRanges() { prefix.append(contentsOf: version[range]) }
        if version.count > length { version.removeLast(version.count - length) }
        if version.count < length {
            version.append(contentsOf: repeatElement(0, count: length - version.count))
        }
        if frame.isEmpty { return 0 }
        let changedLength = delta.changedLength
        if changed.count < changedLength { changed = [UInt8](repeating: 0, count: changedLength) }
        try changed.withUnsafeMutableBytes { changed in
            let target = UnsafeMutableRawBufferPointer(rebasing: changed.prefix(changedLength))
            try prefix.withUnsafeBytes { try decompressor.decompress(frame, prefix: $0, into: target) }
            version.withUnsafeMutableBytes { Self.scatter(UnsafeRawBufferPointer(target), delta.ranges, $0) }
        }
        return changedLength
    }

    private static func scatter(
        _ bytes: UnsafeRawBufferPointer, _ ranges: [Range<Int>], _ target: UnsafeMutableRawBufferPointer
    ) {
        var from = 0
        for range in ranges {
            let part = UnsafeRawBufferPointer(rebasing: bytes[from..<from + range.count])
            UnsafeMutableRawBufferPointer(rebasing: target[range]).copyMemory(from: part)
            from += range.count
        }
    }
}
