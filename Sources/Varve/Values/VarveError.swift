import VarveFormat

/// What every call of this module throws.
///
/// A program decides by `code`. `message`, `location` and `hint` are for people; their words may change.
public struct VarveError: Error, Sendable, CustomStringConvertible {
    /// What went wrong. The set of codes can grow with each version.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The code as text, as in `locked`.
        public let rawValue: String
        /// A code from its text.
        public init(rawValue: String) { self.rawValue = rawValue }
        /// The code as text.
        public var description: String { rawValue }

        /// Stored bytes are damaged, or what was restored is not what the snapshot promises.
        public static let corrupt = Code(.corrupt)
        /// An argument makes no sense. Nothing was done.
        public static let invalid = Code(.invalid)
        /// The operation is not possible as things are. Nothing was done.
        public static let refused = Code(.refused)
        /// Another process holds a lock that the operation needs. Try again later.
        public static let locked = Code(.locked)
        /// There is no repository at the path: an unmounted disk, for instance.
        public static let noRepository = Code(.noRepository)
        /// Another repository's disk is at the path.
        public static let wrongDisk = Code(.wrongDisk)
        /// The copy is older than it was: its disk was restored from an image, or is a clone.
        public static let rolledBack = Code(.rolledBack)
        /// One copy is there twice, at two places.
        public static let clonedCopy = Code(.clonedCopy)
        /// Fewer copies than required can store the snapshot.
        public static let tooFewCopies = Code(.tooFewCopies)
        /// Something that was asked for is not there.
        public static let missing = Code(.missing)
        /// The password of the environment is wrong, missing, or not needed.
        public static let wrongKey = Code(.wrongKey)
        /// The task was cancelled.
        public static let interrupted = Code(.interrupted)
        /// No environment is at the path, or nobody has it open.
        public static let noEnvironment = Code(.noEnvironment)
        /// The environment has panicked or must be recovered before anything else.
        public static let needsRecovery = Code(.needsRecovery)
        /// A system call failed.
        public static let system = Code(.system)

        init(_ code: VarveFormat.VarveError.Code) { rawValue = code.rawValue }
    }

    /// What went wrong.
    public let code: Code
    /// One sentence that names the thing and its value.
    public let message: String
    /// The file, object or directory that the error is about.
    public let location: String?
    /// What a person can do next.
    public let hint: String?
    /// Whether the same call may succeed later although nobody has done anything: a lock, a disk that hangs, memory.
    public let isTransient: Bool
    private let text: String

    /// The message, its location and its cause, without the hint.
    public var description: String { text }

    init(_ code: Code, _ message: String, location: String? = nil, hint: String? = nil) {
        self.code = code
        self.message = message
        self.location = location
        self.hint = hint
        isTransient = false
        text = location.map { "\(message) (\($0))" } ?? message
    }

    init(any error: any Error) {
        if let error = error as? VarveError {
            self = error
            return
        }
        let known = error as? VarveFormat.VarveError ?? .init(.system, "\(error)")
        code = Code(rawValue: known.code.rawValue)
        message = known.message
        location = known.location
        hint = known.hint
        isTransient = known.isTransient
        text = "\(known)"
    }
}
