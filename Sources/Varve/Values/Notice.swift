import VarveFiles

/// An error that ended nothing: the call went on without what had failed.
public struct Notice: Sendable, CustomStringConvertible {
    /// Who should hear of it.
    public enum Level: Sendable {
        /// For a log. It costs time at most: something else was used instead, or the next call does it.
        case remark
        /// A person should know: something was left behind, or is not taken down.
        case warning
    }

    /// Who should hear of it.
    public let level: Level
    /// The object, the file or the directory that it is about.
    public let place: String
    /// What failed and what that means, in one sentence about `place`.
    public let problem: String
    /// Why it failed.
    public let error: VarveError

    /// The place, the problem and the error, without the error's hint.
    public var description: String { "\(place): \(problem) (\(error))" }

    init(_ notice: VarveFiles.Notice) {
        level =
            switch notice.level {
            case .remark: .remark
            case .warning: .warning
            }
        place = notice.place
        problem = notice.problem
        error = VarveError(any: notice.error)
    }
}

/// Hears of errors that end no call, to log them for instance.
///
/// The closure is called from threads of the call, sometimes from several at once; and after the call has ended, if it has
/// left a disk behind that does not answer. It must return quickly.
public struct NoticeHandler: Sendable {
    let body: (@Sendable (Notice) -> Void)?

    /// - Parameter body: called with each notice.
    public init(_ body: @escaping @Sendable (Notice) -> Void) { self.body = body }

    private init() { body = nil }

    /// Hears nothing.
    public static let none = NoticeHandler()
}
