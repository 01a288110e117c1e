import Glibc
import Testing
import VarveFiles
import VarveFormat

@Suite struct BrokenPipeTests {
    /// The signal would end this process: that is the control.
    @Test func aReaderThatIsGoneIsAnError() throws {
        var numbers: [Int32] = [-1, -1]
        #expect(pipe(&numbers) == 0)
        close(numbers[0])
        defer { close(numbers[1]) }
        var before = sigset_t()
        pthread_sigmask(SIG_SETMASK, nil, &before)
        #expect(sigismember(&before, SIGPIPE) == 0)
        for _ in 0..<3 {
            let (count, code) = withoutBrokenPipeSignal { (write(numbers[1], [0], 1), errno) }
            #expect(count == -1 && code == EPIPE)
        }
        var (after, pending) = (sigset_t(), sigset_t())
        pthread_sigmask(SIG_SETMASK, nil, &after)
        sigpending(&pending)
        #expect(sigismember(&after, SIGPIPE) == 0 && sigismember(&pending, SIGPIPE) == 0)
    }
}
