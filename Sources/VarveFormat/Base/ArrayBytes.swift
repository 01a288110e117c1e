// What the standard library has as `withUnsafeBytes` and `withUnsafeMutableBytes`, which forget the error's type.
extension Array where Element: BitwiseCopyable {
    @inlinable package func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E)
        -> R
    {
        try withUnsafeBufferPointer { (elements) throws(E) in try body(UnsafeRawBufferPointer(elements)) }
    }

    @inlinable package mutating func withMutableBytes<R, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try withUnsafeMutableBufferPointer { (elements) throws(E) in
            try body(UnsafeMutableRawBufferPointer(elements))
        }
    }
}
