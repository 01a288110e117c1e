/// How far an operation is.
public struct Progress: Sendable {
    /// What is being worked on: the path of a file, or the name of a stored object.
    public let item: String
    /// Bytes that were done so far.
    public let bytesDone: UInt64
    /// Bytes in all; nil while nobody knows.
    public let bytesTotal: UInt64?
}

/// Hears of an operation's progress.
///
/// The closure is called often, from threads of the operation, sometimes from several at once. It must return quickly.
public struct ProgressHandler: Sendable {
    let body: @Sendable (Progress) -> Void

    /// - Parameter body: called with each step of progress.
    public init(_ body: @escaping @Sendable (Progress) -> Void) { self.body = body }

    /// Hears nothing.
    public static let none = ProgressHandler { _ in }
}
