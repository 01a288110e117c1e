import Glibc

/// Writes to a pipe whose reader may be gone: that is EPIPE then, and SIGPIPE reaches nobody. The process's own way with
/// the signal stays as it is, because it may be another program's.
package func withoutBrokenPipeSignal<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    var (pipe, before, pending) = (sigset_t(), sigset_t(), sigset_t())
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    sigpending(&pending)
    let wasPending = sigismember(&pending, SIGPIPE) == 1
    pthread_sigmask(SIG_BLOCK, &pipe, &before)
    defer {
        if !wasPending {
            // A broken pipe's signal is sent to the thread that wrote.
            var now = timespec()
            while sigtimedwait(&pipe, nil, &now) < 0 && errno == EINTR {}
        }
        pthread_sigmask(SIG_SETMASK, &before, nil)
    }
    return try body()
}
