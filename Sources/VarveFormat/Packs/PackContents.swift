/// What can be learned from a pack without any index: its blobs, from the directory at its end or, where that is
/// damaged, from the headers in front of the blobs.
package struct PackContents: Sendable {
    package var entries: [Pack.Entry]
    /// Byte ranges that belong to no readable blob header; empty in a healthy pack.
    package var damaged: [Range<Int>]

    package init(entries: [Pack.Entry], damaged: [Range<Int>]) {
        self.entries = entries
        self.damaged = damaged
    }

    /// Walks the blob headers from the front. Where none can be read, it goes on at the next magic number whose
    /// header has a right checksum.
    package init(scanning bytes: UnsafeRawBufferPointer) {
        entries = []
        damaged = []
        var offset = min(Pack.headerLength, bytes.count)
        var damageStart: Int?
        while offset < bytes.count {
            if let header = try? Pack.BlobHeader(
                prefixOf: UnsafeRawBufferPointer(rebasing: bytes[offset...])),
                offset + header.totalLength <= bytes.count
            {
                if let start = damageStart { damaged.append(start..<offset) }
                damageStart = nil
                entries.append(Pack.Entry(offset: UInt32(offset), header: header))
                offset += header.totalLength
            } else {
                if damageStart == nil {
                    if Self.isDirectory(at: offset, bytes) { return }
                    damageStart = offset
                }
                offset = Self.nextMagic(after: offset, bytes)
            }
        }
        if let start = damageStart { damaged.append(start..<bytes.count) }
    }

    private static func isDirectory(at offset: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes[offset...].starts(with: PackDirectory.magic)
    }

    private static func nextMagic(after offset: Int, _ bytes: UnsafeRawBufferPointer) -> Int {
        let magic = Pack.BlobHeader.magic
        var at = offset + 1
        while at + magic.count <= bytes.count {
            if bytes[at] == magic[0], bytes[at + 1] == magic[1], bytes[at + 2] == magic[2],
                bytes[at + 3] == magic[3]
            {
                return at
            }
            at += 1
        }
        return bytes.count
    }
}
