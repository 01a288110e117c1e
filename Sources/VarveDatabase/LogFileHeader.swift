import VarveFormat

/// The first record of a log file (`struct __hdr` and `struct __log_persist`, `log.h:141`).
package struct LogFileHeader: Sendable, Hashable {
    /// The offset of the last record in the file before; 0 in the first file of a log
    /// (`__log_newfile`, `log_put.c:742`).
    package var previousOffset: UInt32
    /// The log's version, 19 for libdb 5.3; nil where it is ciphertext.
    package var version: UInt32?
    /// The size at which the application starts a new file; nil where it is ciphertext.
    package var maximumSize: UInt32?
    /// Record bodies are ciphertext and their checksums HMACs: without the key only the chain can be checked.
    package var isEncrypted: Bool

    /// The header that precedes each record's body: `HDR_NORMAL_SZ` and `HDR_CRYPTO_SZ`, `log.h:186`.
    package var recordHeaderSize: Int { isEncrypted ? 48 : 12 }
    /// The bytes of the first record: the first application record follows.
    package var byteCount: Int { isEncrypted ? 64 : 28 }

    static let magic: UInt32 = 0x040988
    /// Little-endian on every machine since version 17 (libdb 5.0), and the same layout of the records read
    /// here.
    static let versions: ClosedRange<UInt32> = 17...19
    /// As much as `parse` looks at.
    package static let maximumByteCount = 64

    /// Reads the header from the first bytes of a log file, 64 unless the file is shorter.
    ///
    /// Returns nil for a file that was preallocated and has no header yet: nothing or only zeros there.
    /// Throws `.unsupported` for a log in big-endian order or of another version, `.corrupt` for anything
    /// else that is not a log file with a right checksum.
    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(VarveError) -> LogFileHeader? {
        let head = UnsafeRawBufferPointer(rebasing: bytes.prefix(maximumByteCount))
        if isZero(UnsafeRawBufferPointer(rebasing: head.prefix(28))) { return nil }
        var reader = ByteReader(head, what: "the log file's header")
        let previous = try reader.integer(UInt32.self)
        let length = try reader.integer(UInt32.self)
        if length == 64 {
            // MAC and IV, then how many bytes of the body count: those of `struct __log_persist`.
            try reader.skip(36)
            guard try reader.integer(UInt32.self) == 16 else {
                throw VarveError(
                    .corrupt, "not a log file: its header is neither a plain nor an encrypted one")
            }
            try reader.skip(16)
            return LogFileHeader(previousOffset: previous, isEncrypted: true)
        }
        let sum = try reader.integer(UInt32.self)
        let body = UnsafeRawBufferPointer(rebasing: head[12..<min(28, head.count)])
        let magic = try reader.integer(UInt32.self)
        guard magic.byteSwapped != Self.magic else {
            throw VarveError(
                .unsupported, "the log is in big-endian order, which only libdb before 5.0 wrote",
                hint: "run recovery with the libdb that wrote it, then back up again")
        }
        guard magic == Self.magic else {
            throw VarveError(.corrupt, "not a log file: its magic number is not \(Self.magic)")
        }
        let version = try reader.integer(UInt32.self)
        guard versions.contains(version) else {
            throw VarveError(.unsupported, "log version \(version) is not one of \(versions)")
        }
        let size = try reader.integer(UInt32.self)
        try reader.skip(4)
        guard length == 28 && sum == checksum(body) ^ previous ^ length else {
            throw VarveError(.corrupt, "the log file's header does not match its checksum")
        }
        return LogFileHeader(
            previousOffset: previous, version: version, maximumSize: size, isEncrypted: false)
    }
}
