import Glibc
import SystemPackage
import VarveFormat

/// The one door to the kernel: retries what a signal interrupted and turns `errno` into an error that says
/// which call on which path failed, and what can be done.
///
/// - Returns: what the call returned, never negative.
@discardableResult
@inline(__always)
package func systemCall<T: BinaryInteger>(
    _ name: StaticString, _ path: @autoclosure () -> String, _ call: () -> T
) throws(VarveError) -> T {
    while true {
        let result = call()
        if result >= 0 { return result }
        let code = errno
        if code != EINTR { throw SystemCallError(call: name, path: path(), errno: code).error }
    }
}

/// A failed system call, on its way to a `VarveError`.
package struct SystemCallError: Error, Sendable, CustomStringConvertible {
    package let call: String
    package let path: String
    package let errno: Int32

    package init(call: StaticString, path: String, errno: Int32) {
        self.call = "\(call)"
        self.path = path
        self.errno = errno
    }

    package var description: String { "\(call): \(Errno(rawValue: errno))" }

    /// The error that callers see, with a hint where the cause is the user's to mend.
    package var error: VarveError {
        VarveError(.system, "\(path): \(Errno(rawValue: errno)) (\(call))", hint: hint, errno: errno)
    }

    /// For calls that start a thread or a process.
    static let processLimitHint =
        "raise the limit of processes (ulimit -u, TasksMax= of a unit, a container's), then run the same command again"

    private var hint: String? {
        switch errno {
        case ENOSPC: "the file system is full: free some space and run the same command again"
        case EDQUOT: "the disk quota is used up: raise it or free some space, then run the same command again"
        case EROFS: "the file system is mounted read-only: see the kernel log for errors before remounting it"
        case EACCES, EPERM:
            "run the command as the owner of these files, or as root"
        case EIO: "the disk reports an input/output error: see the kernel log, and suspect this disk"
        case EFBIG: "a file may not grow so large: see 'ulimit -f', and what the file system allows"
        case EAGAIN where call == "posix_spawn": Self.processLimitHint
        case EMFILE, ENFILE: "too many open files: raise the limit (ulimit -n)"
        default: nil
        }
    }
}

extension VarveError {
    /// There is nothing at the path.
    package var isNoEntry: Bool { errno == ENOENT || errno == ENOTDIR }
    /// This process has not the rights.
    package var isAccess: Bool { errno == EACCES || errno == EPERM }
    /// A reading failed because of the disk or its file system: what it was to give may be lost. Every other failed call
    /// tells of this process, its rights or this moment, and nothing about the bytes.
    package var isOfMedium: Bool { [EIO, ENODATA, EILSEQ, EBADMSG, EUCLEAN, EREMOTEIO].contains(errno) }
    /// Something else than a file has the name: a link, a directory, a pipe.
    package var isOfAnotherKind: Bool {
        code == .refused || [ELOOP, EXDEV, EISDIR, ENXIO, ENODEV].contains(errno)
    }
    /// A call failed, or a reading, and that says nothing about what is stored.
    package var isOfTheMoment: Bool {
        code == .unreadable || errno != 0 && !isOfMedium && !isOfAnotherKind && !isNoEntry
    }
    /// The same as an object that can't be read now and is not known to be damaged.
    package func unreadable(_ what: String) -> VarveError {
        VarveError(
            .unreadable, "\(what) can't be read: \(message)", location: location,
            hint: isAccess
                ? "run as the owner of the repository, or give its files back to their owner (chown)" : hint,
            cause: cause, errno: errno)
    }
    /// The device is full, or the user's share of it.
    package var isNoSpace: Bool { errno == ENOSPC || errno == EDQUOT }
}
