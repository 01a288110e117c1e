import CLinux
import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// What the helper does before anything else: it works in shared memory that an application lives on, and must not be
/// ended or misled by what it was started with.
enum Startup {
    /// Whether the parent says that it has given this descriptor. An inherited one of the same number is not taken for
    /// it: whatever lies on 4 is no password.
    static func isGiven(_ argument: String) -> Bool { ProcessArguments.all.dropFirst().contains(argument) }

    /// Closes what the parent did not give: what it failed to close on exec, and what it was started with itself. The
    /// lock's descriptor is meant to stay: the environment stays locked until the last of the two is gone.
    static func closeForeignDescriptors() {
        typealias Descriptor = CaptureProtocol.Descriptor
        typealias Argument = CaptureProtocol.Argument
        let optional = [
            (Descriptor.password, Argument.password), (Descriptor.lock, Argument.lock),
            (Descriptor.home, Argument.home), (Descriptor.root, Argument.root),
        ]
        for (number, argument) in optional where !isGiven(argument) { close(number) }
        let first = Descriptor.root + 1
        if varve_close_range(UInt32(first), UInt32.max) == 0 { return }
        // Before Linux 5.9.
        let limit = Int32(clamping: max(1024, min(sysconf(Int32(_SC_OPEN_MAX)), 1 << 20)))
        for number in first..<limit { close(number) }
    }

    /// Root's helper has no limit of file sizes; everybody's has as much as may be had. No core: it would hold pages,
    /// and lie in the environment's home.
    static func raiseLimits() {
        var unlimited = rlimit(rlim_cur: rlim_t.max, rlim_max: rlim_t.max)
        _ = varve_set_limit(Int32(VARVE_LIMIT_FSIZE), &unlimited)
        for limit in [VARVE_LIMIT_FSIZE, VARVE_LIMIT_NOFILE, VARVE_LIMIT_AS, VARVE_LIMIT_DATA] {
            var value = rlimit()
            guard varve_get_limit(Int32(limit), &value) == 0 else { continue }
            value.rlim_cur = value.rlim_max
            _ = varve_set_limit(Int32(limit), &value)
        }
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        _ = varve_set_limit(Int32(VARVE_LIMIT_CORE), &none)
    }

    /// Throws `.refused` where a file size limit (`ulimit -f`) could keep libdb from writing the application's pages:
    /// this process writes them when it needs room in the cache, and what it can't write the application waits for.
    /// Files may grow while a backup runs, so twice the largest and 1 GiB are asked for.
    static func requireFileSizes(_ root: RootDirectory, further: [String], home: String) throws(VarveError) {
        var limit = rlimit()
        guard varve_get_limit(Int32(VARVE_LIMIT_FSIZE), &limit) == 0, limit.rlim_cur != rlim_t.max else {
            return
        }
        var largest: UInt64 = 0
        for name in try root.names() {
            if let status = try root.status(of: name), status.kind == .regular {
                largest = max(largest, status.size)
            }
        }
        for directory in further {
            for name in (try? Directory.list(directory)) ?? [] {
                let status = (try? FileStatus.of(Path.join(directory, name))) ?? nil
                if let status, status.kind == .regular { largest = max(largest, status.size) }
            }
        }
        let needed = 2 * largest + 1 << 30
        guard UInt64(limit.rlim_cur) < needed else { return }
        throw VarveError(
            .refused,
            "the limit of file sizes is \(ByteCount(UInt64(limit.rlim_cur))) (ulimit -f), which is too low: the"
                + " environment has files of up to \(ByteCount(largest))", location: home,
            hint: "raise the limit (ulimit -f unlimited, LimitFSIZE= of a service), then back up again")
    }
}
