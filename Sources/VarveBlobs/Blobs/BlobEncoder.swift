import Glibc
import VarveCodec
import VarveFormat

/// Turns bytes into a blob, ready to be appended to a pack. One per thread.
package final class BlobEncoder {
    let compressor: Compressor
    let decoder = BlobDecoder()
    // Reused: the decoded result, and for deltas the changed bytes and the base's bytes at the same places.
    let decoded = BlobBuffer()
    let changed = BlobBuffer()
    let prefix = BlobBuffer()

    package init(level: Int32) { compressor = Compressor(level: level) }

    /// Room that a blob of `count` decoded bytes needs at most.
    package static func bound(_ count: Int) -> Int { Pack.BlobHeader.maximumLength + Compressor.bound(count) }

    /// Header and payload of the blob at the start of `target`, which has room for `bound(bytes.count)`.
    ///
    /// What was encoded is decoded and compared before it is returned: a bug in a compressor or a bad memory cell
    /// must show now, while the source is still there, and not at the restore.
    ///
    /// - Precondition: `bytes` is not empty.
    package func encode(
        _ bytes: UnsafeRawBufferPointer, id: ContentID, type: BlobType,
        into target: UnsafeMutableRawBufferPointer
    ) throws(VarveError) -> Pack.BlobHeader {
        let start = Pack.BlobHeader.minimumLength
        // Not worth a decompression: less than 1/32 saved.
        let limit = bytes.count - bytes.count / 32
        let payload = UnsafeMutableRawBufferPointer(rebasing: target[start...])
        var header = Pack.BlobHeader(
            id: id, type: type, encoding: .raw, storedLength: bytes.count, decodedLength: bytes.count)
        let room = UnsafeMutableRawBufferPointer(rebasing: payload.prefix(limit))
        if let length = try compressor.compress(bytes, into: room) {
            header = Pack.BlobHeader(
                id: id, type: type, encoding: .zstd, storedLength: length, decodedLength: bytes.count)
            try check(header, UnsafeRawBufferPointer(rebasing: payload.prefix(length)), against: bytes)
        } else {
            payload.copyMemory(from: bytes)
        }
        target.copyBytes(from: header.encoded)
        return header
    }

    private func check(
        _ header: Pack.BlobHeader, _ payload: UnsafeRawBufferPointer, against bytes: UnsafeRawBufferPointer
    ) throws(VarveError) {
        decoded.resize(to: bytes.count)
        try decoder.decode(header, payload: payload, into: decoded.mutableBytes)
        try Self.requireEqual(decoded.bytes, bytes)
    }

    static func requireEqual(_ decoded: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer)
        throws(VarveError)
    {
        guard decoded.count == bytes.count, memcmp(decoded.baseAddress!, bytes.baseAddress!, bytes.count) == 0
        else {
            throw VarveError(
                .corrupt, "what was compressed does not decompress to the same bytes",
                hint:
                    "this machine's memory or its zstd library is faulty: test both before you trust a backup"
            )
        }
    }
}
