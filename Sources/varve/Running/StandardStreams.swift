import Glibc

/// Standard input, output and error, as the process was given them.
enum StandardStreams {
    /// Where one is closed (`>&-`), the next file that is opened would take its number, and a result would be written
    /// into a lock file or a database. `/dev/null` takes it, opened so that its use is an error still.
    static func keep() {
        for (descriptor, flags) in [
            (STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDONLY),
        ]
        where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest that is free: those before it are open by now.
            _ = open("/dev/null", flags)
        }
    }
}
