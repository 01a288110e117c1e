import Glibc

/// Tells when a file appears in a directory, by inotify(7). What other machines create there it does not see.
package struct DirectoryWatch: ~Copyable {
    private let descriptor: Int32

    /// Nil where there is no such thing: too many watches on the machine, for instance.
    package init?(_ path: String) {
        let opened = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard opened >= 0 else { return nil }
        guard inotify_add_watch(opened, path, UInt32(IN_CREATE | IN_MOVED_TO)) >= 0 else {
            // Not ours yet: `deinit` would close it, too, and by then the number may be another file's.
            Glibc.close(opened)
            return nil
        }
        descriptor = opened
    }

    deinit { Glibc.close(descriptor) }

    /// Returns when a file has appeared since the last call, or so much time has passed. Which one, a look at the
    /// directory tells.
    package borrowing func wait(milliseconds: Int32) {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&request, 1, milliseconds) > 0 else { return }
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            while read(descriptor, buffer.baseAddress!, buffer.count) > 0 {}
        }
    }
}
