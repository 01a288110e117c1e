/// Why a test's process, or what a test waited for, is not as the test needs it.
public struct ProcessFailure: Error, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}
