/// Why a test's process, or what a test waited for, is not as the test needs it.
package struct ProcessFailure: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}
