import VarveCodec
import VarveFormat

/// Turns stored blobs into bytes. One per thread.
///
/// What it gives is as good as what it was given: whoever asked for an id checks the result against it.
package final class BlobDecoder {
    private let decompressor = Decompressor()
    private let prefix = BlobBuffer()
    private let changed = BlobBuffer()

    package init() {}

    /// A blob that stands alone.
    ///
    /// - Parameters:
    ///   - payload: exactly the stored bytes behind the header.
    ///   - target: exactly `header.decodedLength` bytes.
    package func decode(
        _ header: Pack.BlobHeader, payload: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(VarveError) {
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
    package func apply(
        _ header: Pack.BlobHeader, payload: UnsafeRawBufferPointer, to version: BlobBuffer
    ) throws(VarveError) -> Int {
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
        prefix.resize(to: 0)
        for range in delta.prefixRanges() {
            prefix.append(UnsafeRawBufferPointer(rebasing: version.bytes[range]))
        }
        version.resize(to: length)
        if frame.isEmpty { return 0 }
        changed.resize(to: delta.changedLength)
        try decompressor.decompress(frame, prefix: prefix.bytes, into: changed.mutableBytes)
        Self.scatter(changed.bytes, delta.ranges, version.mutableBytes)
        return changed.count
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
