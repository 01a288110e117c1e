import Testing
import VarveFormat

/// The body must throw a `VarveError` of this code: that something fails is not enough, a test must fail where it fails for
/// another reason.
///
/// - Returns: what it threw, for what else a test asks of it.
@discardableResult
package func expect<R: ~Copyable>(
    _ code: VarveError.Code, _ comment: @autoclosure () -> Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> R
) -> VarveError? {
    func fail(_ what: String) {
        let about = comment().map { "\($0): " } ?? ""
        Issue.record("\(about)'\(code)' was expected, and \(what)", sourceLocation: sourceLocation)
    }
    do {
        _ = try body()
        fail("nothing was thrown")
    } catch let error as VarveError {
        if error.code != code { fail("'\(error.code)' was thrown: \(error)") }
        return error
    } catch {
        fail("this was thrown: \(error)")
    }
    return nil
}
