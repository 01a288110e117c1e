/// Integers at a fixed place of bytes that may be damaged or hostile.
///
/// A place outside of the bytes ends the process, in release builds, too: there `loadUnaligned` reads whatever lies
/// behind them. Whoever calls has compared the count before; this is the second line.
extension UnsafeRawBufferPointer {
    /// In this machine's byte order.
    @inlinable package func integer<T: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as type: T.Type = T.self
    ) -> T {
        precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size)
        return loadUnaligned(fromByteOffset: offset, as: T.self)
    }

    @inlinable package func littleEndian<T: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as type: T.Type = T.self
    ) -> T {
        T(littleEndian: integer(at: offset))
    }

    @inlinable package func bigEndian<T: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as type: T.Type = T.self
    ) -> T {
        T(bigEndian: integer(at: offset))
    }
}
