import CLinux
import Glibc
import VarveFormat

/// The two clocks: one for people, one for durations.
package enum Clock {
    package static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }

    /// Nanoseconds since some moment in the past; never goes back.
    package static func monotonic() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        // A faked clock may say less than zero.
        return UInt64(bitPattern: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }

    package static func sleep(milliseconds: UInt32) { usleep(milliseconds * 1000) }
}

/// Facts of this host and process.
package enum Host {
    package static var name: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Processors this process may run on, as `nproc` counts them.
    package static var processors: Int {
        var mask = [UInt8](repeating: 0, count: 1024)
        let count = mask.withUnsafeMutableBytes { varve_sched_getaffinity(0, UInt($0.count), $0.baseAddress) }
        guard count > 0 else { return max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
        return max(1, mask.prefix(count).reduce(0) { $0 + $1.nonzeroBitCount })
    }

    /// Threads for what takes buffers: each has some 8 MiB of them, or a pack, and 128 MiB are promised for all.
    package static var workers: Int { min(processors, 6) }

    package static func randomBytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
}

extension Host {
    package static var processID: Int32 { getpid() }
    package static var isRoot: Bool { geteuid() == 0 }
}
