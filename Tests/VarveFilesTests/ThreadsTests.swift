import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

@Suite(.timeLimit(.minutes(2))) struct MonitorTests {
    /// One at a time: between the two halves of a change nobody else gets in.
    @Test func changesDoNotInterleave() throws {
        struct State {
            var count = 0
            var isInside = false
            var interleaved = 0
        }
        let monitor = Monitor(State())
        let threads = try (0..<6).map { _ in
            try WorkerThread {
                for round in 0..<300 {
                    monitor.change { state in
                        if state.isInside { state.interleaved += 1 }
                        state.isInside = true
                        if round.isMultiple(of: 16) { sched_yield() }
                        state.count += 1
                        state.isInside = false
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(monitor.change { $0.count } == 1800)
        #expect(monitor.change { $0.interleaved } == 0)
    }

    /// A waiting one changes the state too, and wakes the next: a ball goes round.
    @Test func whoeverHasWaitedWakesTheOthers() throws {
        let (ball, threads) = (Monitor(0), 4)
        let players = try (0..<threads).map { player in
            try WorkerThread {
                for round in 0..<50 {
                    ball.wait { state -> Void? in
                        if state != round * threads + player { return nil }
                        state += 1
                        return ()
                    }
                }
            }
        }
        for player in players { player.join() }
        #expect(ball.change { $0 } == 50 * threads)
    }

    @Test func waitingEndsAtTheDeadline() throws {
        let monitor = Monitor(1)
        let start = Clock.monotonic()
        #expect(monitor.wait(until: start + moment) { $0 == 2 ? "two" : nil } == nil)
        #expect(Clock.monotonic() >= start + moment)
        // What is there is found, also when it is too late to wait.
        #expect(monitor.wait(until: start) { $0 == 1 ? "one" : nil } == "one")
        #expect(monitor.wait(until: 0) { $0 == 2 ? "two" : nil } == nil)
        let changer = try WorkerThread { monitor.change { $0 = 2 } }
        #expect(monitor.wait(until: Clock.monotonic() + patience) { $0 == 2 ? "two" : nil } == "two")
        changer.join()
    }

    /// What throws lets go of the lock, and keeps what it has changed until then.
    @Test func anErrorLetsGo() throws {
        let monitor = Monitor(0)
        func fail(_ state: inout Int) throws {
            state += 1
            throw VarveError(.interrupted, "interrupted")
        }
        expect(.interrupted) { try monitor.change { try fail(&$0) } }
        expect(.interrupted) {
            try monitor.wait { state -> Int? in
                try fail(&state); return nil
            }
        }
        expect(.interrupted) {
            try monitor.wait(until: Clock.monotonic() + patience) { state -> Int? in
                try fail(&state)
                return nil
            }
        }
        // From another thread: this one might hold it.
        let count = Monitor(-1)
        try WorkerThread { count.change { $0 = monitor.change { $0 } } }.join()
        #expect(count.change { $0 } == 3)
    }
}

@Suite(.timeLimit(.minutes(2))) struct WorkerThreadTests {
    @Test func itRunsBesideUsAndIsWaitedFor() throws {
        let (own, seen) = (pthread_self(), Monitor<pthread_t?>(nil))
        let gate = Monitor(false)
        let thread = try WorkerThread {
            _ = gate.wait { $0 ? true : nil }
            seen.change { $0 = pthread_self() }
        }
        // The control: without `join` it has not run yet.
        #expect(seen.change { $0 } == nil)
        gate.change { $0 = true }
        thread.join()
        #expect(seen.change { $0 != nil && $0 != own })
        thread.join()
    }

    /// What a body holds is let go when it returns, joined or not.
    @Test func whatItHoldsIsLetGo() throws {
        final class Held: Sendable {
            let count: Monitor<Int>
            init(_ count: Monitor<Int>) { self.count = count }
            deinit { count.change { $0 -= 1 } }
        }
        let alive = Monitor(0)
        for _ in 0..<40 {
            alive.change { $0 += 1 }
            let held = Held(alive)
            _ = try WorkerThread { withExtendedLifetime(held) {} }
        }
        #expect(alive.wait(until: Clock.monotonic() + patience) { $0 == 0 ? true : nil } == true)
    }
}

@Suite(.timeLimit(.minutes(2))) struct WithinTests {
    @Test func whatComesInTime() throws {
        #expect(try within(seconds: 60) { 7 } == 7)
        expect(.hung) {
            try within(seconds: 60) { () throws(VarveError) in throw VarveError(.hung, "it hangs") }
        }
    }

    /// A disk that hangs: the caller goes on, and the thread ends when the disk answers after all.
    @Test func whatHangsIsLeftBehind() throws {
        let (gate, ended) = (Monitor(false), Monitor(false))
        let start = Clock.monotonic()
        let answer = try within(seconds: 0.05) {
            _ = gate.wait { $0 ? true : nil }
            ended.change { $0 = true }
            return 7
        }
        #expect(answer == nil)
        #expect(Clock.monotonic() >= start + 50_000_000)
        #expect(ended.change { !$0 })
        gate.change { $0 = true }
        #expect(ended.wait(until: Clock.monotonic() + patience) { $0 ? true : nil } == true)
    }
}

@Suite struct SystemCallTests {
    /// What a signal interrupted is called again; every other error comes out, with its number.
    @Test func interruptedCallsAreRepeated() throws {
        func call(_ codes: [Int32]) throws -> (result: Int, calls: Int) {
            var calls = 0
            let result = try systemCall("test", "path") {
                defer { calls += 1 }
                guard calls < codes.count else { return 7 }
                errno = codes[calls]
                return -1
            }
            return (result, calls)
        }
        #expect(try call([]) == (7, 1))
        #expect(try call([EINTR, EINTR]) == (7, 3))
        let error = expect(.system) { _ = try call([EINTR, EACCES]) }
        #expect(error?.errno == EACCES && error?.isAccess == true && error?.hint != nil)
        #expect(error?.message.contains("path") == true && error?.message.contains("test") == true)
    }

    /// Damage of the medium is told from what says nothing about the bytes.
    @Test func whatAnErrorSays() {
        func error(_ code: Int32) -> VarveError {
            SystemCallError(call: "read", path: "file", errno: code).error
        }
        for code in [EIO, ENODATA, EILSEQ, EBADMSG] {
            #expect(error(code).isOfMedium && !error(code).isOfTheMoment, "\(code)")
        }
        for code in [EACCES, EPERM, ENOMEM, EMFILE, ENFILE, ENOSPC] {
            #expect(!error(code).isOfMedium && error(code).isOfTheMoment, "\(code)")
        }
        for code in [ENOENT, ENOTDIR] { #expect(error(code).isNoEntry && !error(code).isOfTheMoment) }
        for code in [ELOOP, EISDIR, ENXIO] {
            #expect(error(code).isOfAnotherKind && !error(code).isOfTheMoment)
        }
        #expect(error(ENOSPC).isNoSpace && error(EDQUOT).isNoSpace && !error(EIO).isNoSpace)
    }
}
