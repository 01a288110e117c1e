/// What every layer throws: what went wrong, where, and what to do next.
///
/// The command maps `code` to an exit status; nothing else may decide by the text.
public struct VarveError: Error, Sendable {
    /// An extensible set: a new code is no break for a caller that switches with a default.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }
    }

    public var code: Code
    /// One sentence, no trailing full stop, naming the thing and its value.
    public var message: String
    /// The file, object or page that it is about.
    public var location: String?
    /// What the reader can do next.
    public var hint: String?
    public var cause: (any Error)?
    /// Of a failed system call (`code == .system`), else 0.
    public var errno: Int32

    public init(
        _ code: Code, _ message: String, location: String? = nil, hint: String? = nil,
        cause: (any Error)? = nil, errno: Int32 = 0
    ) {
        self.code = code
        self.message = message
        self.location = location
        self.hint = hint
        self.cause = cause
        self.errno = errno
    }
}

extension VarveError: CustomStringConvertible {
    /// `message (location): cause`, without the hint, which the command prints on a line of its own.
    public var description: String {
        var text = message
        if let location { text += " (\(location))" }
        if let cause { text += ": \(cause)" }
        return text
    }
}

extension VarveError.Code {
    /// Bytes that cannot be what they claim to be: damaged, truncated, or hostile.
    public static let corrupt = Self(rawValue: "corrupt")
    /// A format or feature that this version does not read.
    public static let unsupported = Self(rawValue: "unsupported")
    /// A system call failed.
    public static let system = Self(rawValue: "system")
    /// Something is there and can't be read now: this process lacks the rights, memory or descriptors. That says nothing
    /// about its bytes, so it is no damage, and nothing is set aside for it.
    public static let unreadable = Self(rawValue: "unreadable")
    /// An object that something refers to is not there.
    public static let missing = Self(rawValue: "missing")
    /// A caller's request that makes no sense, refused before anything was done.
    public static let invalid = Self(rawValue: "invalid")
    /// No repository at the path, or another one.
    public static let noRepository = Self(rawValue: "no-repository")
    /// Another repository's disk, or an unknown copy's, where a copy of this one should be.
    public static let wrongDisk = Self(rawValue: "wrong-disk")
    /// A copy is older than what others know of it: restored from an image, or a clone.
    public static let rolledBack = Self(rawValue: "rolled-back")
    /// One copy is there twice.
    public static let clonedCopy = Self(rawValue: "cloned-copy")
    /// Fewer copies than the user requires.
    public static let tooFewCopies = Self(rawValue: "too-few-copies")
    /// A disk that does not answer.
    public static let hung = Self(rawValue: "hung")
    /// Another process holds the lock.
    public static let locked = Self(rawValue: "locked")
    /// The source can't be backed up as it is.
    public static let refused = Self(rawValue: "refused")
    /// Encrypted, and the key is wrong or was not given.
    public static let wrongKey = Self(rawValue: "wrong-key")
    /// Stopped by a signal.
    public static let interrupted = Self(rawValue: "interrupted")
    /// A process that the work depends on died.
    public static let helperDied = Self(rawValue: "helper-died")
    /// A process that the work depends on lives and says nothing.
    public static let helperStuck = Self(rawValue: "helper-stuck")
}
