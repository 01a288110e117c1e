/// What every layer throws: what went wrong, where, and what to do next.
///
/// The command maps `code` to an exit status; nothing else may decide by the text.
package struct VarveError: Error, Sendable {
    /// An extensible set: a new code is no break for a caller that switches with a default.
    package struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        package let rawValue: String
        package init(rawValue: String) { self.rawValue = rawValue }
        package var description: String { rawValue }
    }

    package var code: Code
    /// One sentence, no trailing full stop, naming the thing and its value.
    package var message: String
    /// The file, object or page that it is about.
    package var location: String?
    /// What the reader can do next.
    package var hint: String?
    package var cause: (any Error)?
    /// Of a failed system call (`code == .system`), else 0.
    package var errno: Int32

    package init(
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

extension VarveError {
    /// The same call may succeed later although nobody has done anything: it met a lock, or a shortage of the moment.
    package var isTransient: Bool {
        switch code {
        case .locked, .hung, .helperStuck, .helperDied: true
        // EAGAIN, ENOMEM, EBUSY, ENFILE, EMFILE, ETIMEDOUT of Linux.
        case .system, .unreadable: [11, 12, 16, 23, 24, 110].contains(errno)
        default: false
        }
    }
}

extension VarveError: CustomStringConvertible {
    /// `message (location): cause`, without the hint, which the command prints on a line of its own.
    package var description: String {
        var text = message
        if let location { text += " (\(location))" }
        if let cause { text += ": \(cause)" }
        return text
    }
}

extension VarveError.Code {
    /// Bytes that cannot be what they claim to be: damaged, truncated, or hostile.
    package static let corrupt = Self(rawValue: "corrupt")
    /// A format or feature that this version does not read.
    package static let unsupported = Self(rawValue: "unsupported")
    /// A system call failed.
    package static let system = Self(rawValue: "system")
    /// Something is there and can't be read now: this process lacks the rights, memory or descriptors. That says nothing
    /// about its bytes, so it is no damage, and nothing is set aside for it.
    package static let unreadable = Self(rawValue: "unreadable")
    /// An object that something refers to is not there.
    package static let missing = Self(rawValue: "missing")
    /// A caller's request that makes no sense, refused before anything was done.
    package static let invalid = Self(rawValue: "invalid")
    /// No repository at the path, or another one.
    package static let noRepository = Self(rawValue: "no-repository")
    /// Another repository's disk, or an unknown copy's, where a copy of this one should be.
    package static let wrongDisk = Self(rawValue: "wrong-disk")
    /// A copy is older than what others know of it: restored from an image, or a clone.
    package static let rolledBack = Self(rawValue: "rolled-back")
    /// One copy is there twice.
    package static let clonedCopy = Self(rawValue: "cloned-copy")
    /// Fewer copies than the user requires.
    package static let tooFewCopies = Self(rawValue: "too-few-copies")
    /// A disk that does not answer.
    package static let hung = Self(rawValue: "hung")
    /// Another process holds the lock.
    package static let locked = Self(rawValue: "locked")
    /// The source can't be backed up as it is.
    package static let refused = Self(rawValue: "refused")
    /// Encrypted, and the key is wrong or was not given.
    package static let wrongKey = Self(rawValue: "wrong-key")
    /// Stopped by a signal.
    package static let interrupted = Self(rawValue: "interrupted")
    /// A process that the work depends on died.
    package static let helperDied = Self(rawValue: "helper-died")
    /// A process that the work depends on lives and says nothing.
    package static let helperStuck = Self(rawValue: "helper-stuck")
}
