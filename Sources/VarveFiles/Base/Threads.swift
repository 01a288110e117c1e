import Glibc
import Synchronization
import VarveFormat

/// A thread of our own: blocking work must not starve the cooperative pool. Who hears of the notices of its maker hears
/// of its own (`Notices`).
package final class WorkerThread: Sendable {
    private final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private let handle: Mutex<pthread_t?>

    /// - Throws: `.system` where no thread can be had (`ulimit -u`, a container's limit of processes). Nothing was run then.
    package init(_ body: @escaping @Sendable () -> Void) throws(VarveError) {
        var thread = pthread_t()
        let notices = Notices.handler
        let start = Unmanaged.passRetained(Start { Notices.heard(by: notices, body) })
        var code: Int32 = 0
        for attempt in 0..<Self.attempts {
            if attempt > 0 { usleep(20_000) }
            code = pthread_create(
                &thread, nil,
                { argument in
                    Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue().body()
                    return nil
                }, start.toOpaque())
            if code != EAGAIN { break }
        }
        guard code == 0 else {
            start.release()
            var error = SystemCallError(call: "pthread_create", path: "no thread can be started", errno: code)
                .error
            error.hint = SystemCallError.processLimitHint
            throw error
        }
        handle = Mutex(thread)
    }

    /// Threads of this user may just be ending.
    private static let attempts = 10

    /// As many threads as can be had, `count` at most. They share their work, so fewer do the same, slower.
    ///
    /// - Throws: as `init`, if there is none at all.
    package static func several(
        _ count: Int, _ body: @escaping @Sendable () -> Void
    ) throws(VarveError) -> [WorkerThread] {
        var threads = [try WorkerThread(body)]
        while threads.count < count, let next = try? WorkerThread(body) { threads.append(next) }
        return threads
    }

    /// Runs `body` on `count` threads, and waits for all of them. Where fewer are to be had, fewer run it; where none
    /// is, the caller itself does. So `body` must do all there is to be done, however many run it.
    package static func sideBySide(_ count: Int, _ body: @escaping @Sendable () -> Void) {
        guard let threads = try? several(count, body) else { return body() }
        for thread in threads { thread.join() }
    }

    /// Nobody will wait for it.
    package func detach() {
        if let thread = handle.withLock({ handle -> pthread_t? in
            defer { handle = nil }
            return handle
        }) {
            pthread_detach(thread)
        }
    }

    /// Waits for the body to return; once.
    package func join() {
        if let thread = handle.withLock({ handle -> pthread_t? in
            defer { handle = nil }
            return handle
        }) {
            pthread_join(thread, nil)
        }
    }
}

/// A lock with a condition, for the few places where threads wait for each other.
package final class Monitor<State>: @unchecked Sendable {
    // Sendable: the state is touched only under the mutex; both live at fixed addresses until deinit.
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init(_ state: State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Changes the state and wakes everybody who waits.
    package func change<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Waits until `body` gives something else than nil, then wakes the others.
    package func wait<R, E: Error>(_ body: (inout State) throws(E) -> R?) throws(E) -> R {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        while true {
            if let result = try body(&state) { return result }
            pthread_cond_wait(condition, mutex)
        }
    }
}

extension Monitor {
    /// Like `wait`, but nil when `body` has given nothing until `deadline`, by `Clock.monotonic`.
    package func wait<R, E: Error>(until deadline: UInt64, _ body: (inout State) throws(E) -> R?) throws(E)
        -> R?
    {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        var end = timespec(
            tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        while true {
            if let result = try body(&state) { return result }
            if pthread_cond_timedwait(condition, mutex, &end) == ETIMEDOUT { return try body(&state) }
        }
    }
}

/// Does work that may never return, such as asking a disk that hangs, on a thread of its own.
///
/// - Returns: nil if it has not returned after so many seconds. The thread is left behind then, with all it holds.
/// - Throws: what `body` throws; `.system` where no thread can be had.
package func within<R: Sendable>(
    seconds: Double, _ body: @escaping @Sendable () throws(VarveError) -> R
) throws(VarveError) -> R? {
    let result = Monitor<Result<R, VarveError>?>(nil)
    let thread = try WorkerThread {
        let value = Result { () throws(VarveError) in try body() }
        result.change { $0 = value }
    }
    let deadline = Clock.monotonic() + UInt64(seconds * 1e9)
    guard let value = result.wait(until: deadline, { $0 }) else { return nil }
    thread.join()
    return try value.get()
}

/// A queue with room for a fixed number of elements: a full one holds the producer back.
package final class BoundedQueue<Element>: Sendable {
    private struct State {
        var elements: [Element?]
        var head = 0
        var count = 0
        var isClosed = false
    }

    private let state: Monitor<State>

    /// - Precondition: `capacity > 0`
    package init(capacity: Int) {
        precondition(capacity > 0)
        state = Monitor(State(elements: Array(repeating: nil, count: capacity)))
    }

    /// - Returns: false if the queue was closed; the element was not taken.
    package func push(_ element: sending Element) -> Bool {
        let boxed = element
        return state.wait { state in
            if state.isClosed { return false }
            if state.count == state.elements.count { return nil }
            state.elements[(state.head + state.count) % state.elements.count] = boxed
            state.count += 1
            return true
        }
    }

    /// Nil when the queue is closed and empty.
    package func pop() -> Element? {
        state.wait { state -> Element?? in
            if state.count == 0 { return state.isClosed ? .some(nil) : nil }
            let element = state.elements[state.head]
            state.elements[state.head] = nil
            state.head = (state.head + 1) % state.elements.count
            state.count -= 1
            return .some(element)
        }
    }

    /// No more elements come in; what is in comes out.
    package func close() { state.change { $0.isClosed = true } }
}
