import CZstd
import VarveFormat

/// zstd, its contexts kept for many blobs. Not for use by two threads at once.
///
/// Everything goes through "simple" one-frame calls with the content size in the frame, no dictionary id and no
/// frame checksum: the blob's id is the stronger check.
package final class Compressor {
    /// With a prefix most bytes are found in it, and a level that looks harder costs little (`Documentation/internals/deltas.md`).
    private static let leastLevelWithPrefix: Int32 = 3
    /// zstd's own tables for 256 KiB are larger than a core's first-level cache: with these it finds as much or nearly
    /// as much in database pages, 10 to 15 % faster (`Documentation/internals/deltas.md`).
    private static let tuned: [Int32: Tuning] = [
        1: Tuning(strategy: ZSTD_fast, hashLog: 13, chainLog: 12, minMatch: 6),
        2: Tuning(strategy: ZSTD_dfast, hashLog: 14, chainLog: 12, minMatch: 5),
    ]

    private struct Tuning {
        var strategy: ZSTD_strategy
        /// Entries in the tables, as powers of two; `chainLog` is the second table of `ZSTD_dfast`.
        var hashLog: Int32
        var chainLog: Int32
        var minMatch: Int32
    }

    private let context: OpaquePointer
    private let prefixContext: OpaquePointer

    package init(level: Int32) {
        context = Self.context(level)
        if let tuning = Self.tuned[level] {
            ZSTD_CCtx_setParameter(context, ZSTD_c_strategy, Int32(tuning.strategy.rawValue))
            ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, tuning.hashLog)
            ZSTD_CCtx_setParameter(context, ZSTD_c_chainLog, tuning.chainLog)
            ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, tuning.minMatch)
        }
        prefixContext = Self.context(max(level, Self.leastLevelWithPrefix))
    }

    deinit {
        ZSTD_freeCCtx(context)
        ZSTD_freeCCtx(prefixContext)
    }

    private static func context(_ level: Int32) -> OpaquePointer {
        let context: OpaquePointer = ZSTD_createCCtx()
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1)
        return context
    }

    /// Room that any result for `count` bytes fits in.
    package static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

    /// One frame of `source` in `target`.
    ///
    /// - Parameter prefix: bytes that the decoder will have too; matches are searched there first.
    /// - Returns: the frame's length, or nil if it does not fit in `target`.
    package func compress(
        _ source: UnsafeRawBufferPointer, prefix: UnsafeRawBufferPointer? = nil,
        into target: UnsafeMutableRawBufferPointer
    ) throws(VarveError) -> Int? {
        let context = prefix == nil ? context : prefixContext
        if let prefix {
            try Self.check(ZSTD_CCtx_refPrefix(context, prefix.baseAddress, prefix.count), "compress")
        }
        let result = ZSTD_compress2(
            context, target.baseAddress, target.count, source.baseAddress, source.count)
        if ZSTD_isError(result) != 0 && ZSTD_getErrorCode(result) == ZSTD_error_dstSize_tooSmall {
            ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
            return nil
        }
        return try Self.check(result, "compress")
    }

    @discardableResult
    static func check(_ result: Int, _ doing: String) throws(VarveError) -> Int {
        guard ZSTD_isError(result) == 0 else {
            let name = String(cString: ZSTD_getErrorName(result))
            throw VarveError(.corrupt, "zstd could not \(doing): \(name)")
        }
        return result
    }
}

/// The other way. Not for use by two threads at once.
package final class Decompressor {
    private let context: OpaquePointer

    package init() { context = ZSTD_createDCtx() }

    deinit { ZSTD_freeDCtx(context) }

    /// Fills `target` exactly from one frame; anything shorter, longer or damaged throws, and nothing is
    /// written beyond `target`.
    package func decompress(
        _ source: UnsafeRawBufferPointer, prefix: UnsafeRawBufferPointer? = nil,
        into target: UnsafeMutableRawBufferPointer
    ) throws(VarveError) {
        // One frame and nothing behind it: `ZSTD_decompressDCtx` would accept several, or none.
        guard ZSTD_findFrameCompressedSize(source.baseAddress, source.count) == source.count else {
            throw VarveError(.corrupt, "the compressed bytes are not one whole zstd frame")
        }
        if let prefix {
            try Compressor.check(ZSTD_DCtx_refPrefix(context, prefix.baseAddress, prefix.count), "decompress")
        }
        let count = try Compressor.check(
            ZSTD_decompressDCtx(context, target.baseAddress, target.count, source.baseAddress, source.count),
            "decompress")
        guard count == target.count else {
            throw VarveError(.corrupt, "\(target.count) bytes were expected and \(count) came out of zstd")
        }
    }

    /// A frame whose size is not known beforehand, at most `limit` bytes decoded.
    package func decompress(_ source: UnsafeRawBufferPointer, limit: Int) throws(VarveError) -> [UInt8] {
        let declared = ZSTD_getFrameContentSize(source.baseAddress, source.count)
        guard declared <= UInt64(limit) else {
            throw VarveError(
                .corrupt,
                "the compressed bytes declare no size, or more than \(ByteCount(limit)) once decoded")
        }
        return try [UInt8](unsafeUninitializedCapacity: Int(declared)) { (buffer, count) throws(VarveError) in
            try decompress(source, into: UnsafeMutableRawBufferPointer(buffer))
            count = Int(declared)
        }
    }
}
