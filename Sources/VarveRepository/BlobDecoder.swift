import Glibc
import VarveCodec
import VarveFormat

/// Turns stored blobs into bytes and checks them against their ids. One per thread.
public final class BlobDecoder {
    private let decompressor = Decompressor()

    public init() {}

    /// - Parameters:
    ///   - payload: exactly the stored bytes behind the header.
    ///   - base: the decoded base of a delta, nil otherwise.
    ///   - target: exactly `header.decodedLength` bytes.
    /// - Throws: `.corrupt` unless the bytes are what the id promises.
    public func decode(
        _ header: Pack.BlobHeader, payload: UnsafeRawBufferPointer, base: UnsafeRawBufferPointer? = nil,
        into target: UnsafeMutableRawBufferPointer
    ) throws {
        switch header.encoding {
        case .raw: target.copyMemory(from: payload)
        case .zstd: try decompressor.decompress(payload, into: target)
        case .delta: try applyDelta(header, payload, base, target)
        }
        guard Hasher.id(of: UnsafeRawBufferPointer(target), header.type) == header.id else {
            throw VarveError(.corrupt, "blob \(header.id.short) decodes to other bytes than its id promises")
        }
    }

    private func applyDelta(
        _ header: Pack.BlobHeader, _ payload: UnsafeRawBufferPointer, _ base: UnsafeRawBufferPointer?,
        _ target: UnsafeMutableRawBufferPointer
    ) throws {
        let delta = try DeltaPayload(prefixOf: payload, decodedLength: target.count)
        guard let base, base.count == delta.baseLength else {
            throw VarveError(.corrupt, "blob \(header.id.short) is a delta, and its base is not what it says")
        }
        let frame = UnsafeRawBufferPointer(rebasing: payload[delta.frameOffset...])
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: base.prefix(target.count)))
        if delta.ranges.isEmpty {
            guard frame.isEmpty else {
                throw VarveError(.corrupt, "the delta changes nothing and holds bytes")
            }
            return
        }
        if delta.ranges == [0..<target.count] {
            let prefix = UnsafeRawBufferPointer(rebasing: base.prefix(target.count))
            return try decompressor.decompress(frame, prefix: prefix, into: target)
        }
        var prefix: [UInt8] = []
        for range in delta.prefixRanges() { prefix.append(contentsOf: base[range]) }
        var changed = [UInt8](repeating: 0, count: delta.changedLength)
        try changed.withUnsafeMutableBytes { changed in
            try prefix.withUnsafeBytes { try decompressor.decompress(frame, prefix: $0, into: changed) }
            var from = 0
            for range in delta.ranges {
                let part = UnsafeRawBufferPointer(rebasing: changed[from..<from + range.count])
                UnsafeMutableRawBufferPointer(rebasing: target[range]).copyMemory(from: part)
                from += range.count
            }
        }
    }
}
