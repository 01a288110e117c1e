import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// The helper's side of the two pipes. Nothing here blocks unless its name says so: events may be produced
/// inside libdb's callbacks, some of them under libdb's mutexes.
final class Channel {
    /// The parent closed its ends, or died: nobody reads what is sent any more.
    private(set) var parentIsGone = false
    private var incoming = CaptureFrameBuffer()
    private var outgoing: [UInt8] = []
    private var sent = 0

    init() {
        for descriptor in [CaptureProtocol.Descriptor.control, CaptureProtocol.Descriptor.events] {
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        }
    }

    /// Keeps the order; what the pipe does not take now waits in memory.
    func send(_ event: CaptureEvent) {
        if parentIsGone { return }
        outgoing.append(contentsOf: event.encoded)
        push()
    }

    /// Waits until the parent has room for everything, or is gone.
    func flushBlocking() {
        while !parentIsGone && sent < outgoing.count {
            wait(milliseconds: -1)
            push()
        }
    }

    /// The next command, waiting for it; nil when the parent is gone.
    func nextCommandBlocking() throws(VarveError) -> CaptureCommand? {
        while true {
            if let command = try nextCommand() { return command }
            if parentIsGone { return nil }
            wait(milliseconds: -1)
            push()
        }
    }

    /// A command that is already there.
    func nextCommand() throws(VarveError) -> CaptureCommand? {
        if let body = try incoming.next() {
            return try body.withBytes { (body) throws(VarveError) in try CaptureCommand(body) }
        }
        pull()
        return try incoming.next().map { (body) throws(VarveError) in
            try body.withBytes { (bytes) throws(VarveError) in try CaptureCommand(bytes) }
        }
    }

    /// Waits for a command, for room where events wait, or for the time.
    func wait(milliseconds: Int32) {
        push()
        var waiting = [pollfd(fd: CaptureProtocol.Descriptor.control, events: Int16(POLLIN), revents: 0)]
        if sent < outgoing.count {
            waiting.append(
                pollfd(fd: CaptureProtocol.Descriptor.events, events: Int16(POLLOUT), revents: 0))
        }
        // An error here (EINTR) looks like a time-out: the callers look again.
        _ = poll(&waiting, nfds_t(waiting.count), milliseconds)
        if waiting.count > 1 && waiting[1].revents & Int16(POLLERR) != 0 { parentIsGone = true }
    }

    private func push() {
        while !parentIsGone && sent < outgoing.count {
            let count = outgoing.withUnsafeBytes { bytes in
                Glibc.write(
                    CaptureProtocol.Descriptor.events, bytes.baseAddress! + sent, bytes.count - sent)
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                parentIsGone = true
            }
        }
        outgoing.removeAll(keepingCapacity: true)
        sent = 0
    }

    private func pull() {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            while true {
                let count = Glibc.read(CaptureProtocol.Descriptor.control, buffer.baseAddress!, buffer.count)
                if count > 0 {
                    incoming.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                } else if count < 0 && errno == EINTR {
                    continue
                } else {
                    if count == 0 || errno != EAGAIN { parentIsGone = true }
                    return
                }
            }
        }
    }
}

/// For the parent, which takes a helper that says nothing for long for one that libdb does not let go. While a file
/// is cleared, or read again up to where a pass was interrupted, there may be nothing to say for hours.
enum SignOfLife {
    nonisolated(unsafe) private static var last: UInt64 = 0

    /// Sends `.alive` if the last is a second old. Never blocks.
    static func give() {
        Watchdog.isActive()
        let now = Clock.monotonic()
        guard now - last >= 1_000_000_000 else { return }
        last = now
        LibraryWords.channel?.send(.alive)
    }
}
