import CBerkeleyDB
import Glibc
import Synchronization
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// Ends this helper when it waits in libdb for somebody who will never come: its regions were removed or made anew
/// since, or nobody else has them and its parent is gone, too. It would wait for ever, and keep the environment's lock.
///
/// Never while another process has these very regions mapped: what it holds in them would hang that one. What it leaves
/// is in the journal.
enum Watchdog {
    /// When the main thread last did something, by `Clock.monotonic`; 0 while it waits for a command.
    private static let activity = Atomic<UInt64>(0)

    private static let pause: UInt32 = 1
    /// Longer than any call of libdb takes that waits for nobody.
    private static let goneNanoseconds: UInt64 = 3_000_000_000
    private static let lonelyNanoseconds: UInt64 = 20_000_000_000

    /// The main thread is at work.
    static func isActive() { activity.store(Clock.monotonic(), ordering: .relaxed) }

    /// It waits for its parent.
    static func isResting() { activity.store(0, ordering: .relaxed) }

    /// To be called once, in the thread that calls libdb, after it has joined.
    static func start(_ root: RootDirectory, _ region: CaptureJournal.Region) {
        let own = getpid()
        // Where no thread can be had, there is no watchdog: it is for what hardly ever happens.
        let watchdog = try? WorkerThread {
            while true {
                sleep(pause)
                let last = activity.load(ordering: .relaxed)
                guard last != 0 else { continue }
                let silence = Clock.monotonic() &- last
                if silence >= goneNanoseconds, isGone(root, region), isAlone(own, root) == true {
                    end("its regions were removed while it waited in them: they were made anew, or are gone")
                }
                if silence >= lonelyNanoseconds, parentIsGone, waits(own),
                    isAlone(own, root, surely: true) == true
                {
                    end(
                        "nobody is left in the environment but this helper, which waits for a process that is gone"
                    )
                }
            }
        }
        watchdog?.detach()
    }

    private static func end(_ why: String) -> Never {
        complain(why)
        // Not `exit`, which would wait for streams that the other thread may have locked.
        _exit(5)
    }

    /// What can't be read now counts as there.
    private static func isGone(_ root: RootDirectory, _ region: CaptureJournal.Region) -> Bool {
        guard let now = try? Regions.identity(root) else {
            return (try? root.status(of: Regions.name) == nil) ?? false
        }
        return now != region
    }

    /// Whether no other process has these regions mapped. Nil if that can't be told: they are not files.
    ///
    /// - Parameter surely: false counts those that this user may not look into as strangers.
    private static func isAlone(_ own: Int32, _ root: RootDirectory, surely: Bool = false) -> Bool? {
        let home = root.path
        let seen = try? MappedFile.find(named: Regions.name) { path in
            Path.parent(path) == home || Path.name(path).hasPrefix("log.")
        }
        guard let (mappings, hidden) = seen else {
            return nil
        }
        let mine = Set(mappings.filter { $0.process == own }.map(\.inode))
        guard !mine.isEmpty else { return nil }
        if surely && hidden > 0 { return false }
        return !mappings.contains { $0.process != own && mine.contains($0.inode) }
    }

    private static var parentIsGone: Bool {
        var control = pollfd(fd: CaptureProtocol.Descriptor.control, events: 0, revents: 0)
        return poll(&control, 1, 0) > 0 && control.revents & Int16(POLLHUP | POLLERR) != 0
    }

    /// Whether the main thread waits for a mutex or a condition, and not for a disk.
    private static func waits(_ own: Int32) -> Bool {
        guard let file = try? File.open(reading: "/proc/self/task/\(own)/syscall"),
            let bytes = try? file.readToEnd(limit: 1 << 12)
        else { return false }
        return String(decoding: bytes, as: UTF8.self).split(separator: " ").first == "\(VARVE_SYS_FUTEX)"
    }
}
