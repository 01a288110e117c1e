import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

@Suite struct ClockTests {
    @Test func theMonotonicClockNeverGoesBack() throws {
        let backwards = Monitor(0)
        let latest = Monitor<UInt64>(0)
        let threads = try (0..<4).map { _ in
            try WorkerThread {
                for _ in 0..<2000 {
                    // Read within the lock: then the order of the readings is known.
                    let isBack = latest.change { latest -> Bool in
                        let now = Clock.monotonic()
                        defer { latest = now }
                        return now < latest
                    }
                    if isBack { backwards.change { $0 += 1 } }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(backwards.change { $0 } == 0)
    }

    @Test func asLongAsItSays() {
        let start = Clock.monotonic()
        Clock.sleep(milliseconds: 20)
        #expect(Clock.monotonic() - start >= 20_000_000)
    }

    /// People's clock is the system's.
    @Test func nowIsNow() {
        let before = time(nil)
        let now = Clock.now()
        #expect(
            now.seconds >= Int64(before) && now.seconds <= Int64(time(nil)) && now.nanoseconds < 1_000_000_000
        )
    }

    @Test func processorsAndNames() {
        #expect(Host.processors >= 1 && Host.processors <= Int(sysconf(Int32(_SC_NPROCESSORS_CONF))))
        #expect((1...6).contains(Host.workers) && Host.workers <= Host.processors)
        #expect(!Host.name.isEmpty && Host.processID == getpid())
        // 2^-256 that they are the same.
        #expect(Host.randomBytes(32).count == 32 && Host.randomBytes(32) != Host.randomBytes(32))
    }
}

@Suite struct CancellationTests {
    @Test func itIsSeenAndWakes() throws {
        let cancellation = Cancellation()
        try cancellation.check()
        let descriptor = try #require(cancellation.descriptor)
        func isReadable(_ milliseconds: Int32) -> Bool {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            return poll(&waiting, 1, milliseconds) == 1
        }
        #expect(!cancellation.isRequested && !isReadable(0))
        let other = try WorkerThread { cancellation.request() }
        #expect(isReadable(60_000))
        other.join()
        #expect(cancellation.isRequested && isReadable(0))
        expect(.interrupted) { try cancellation.check() }
        // Again, and it stays.
        cancellation.request()
        #expect(isReadable(0))
    }

    /// A handler must not change the `errno` of what it interrupts.
    @Test func errnoIsKept() {
        let cancellation = Cancellation()
        errno = EDOM
        cancellation.request()
        #expect(errno == EDOM)
    }
}
