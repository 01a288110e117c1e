import VarveFiles
import VarveFormat

/// Why a file is read, or that it is not.
package enum Reading: String, Sendable {
    /// It can't have changed since the snapshot before, and is not read.
    case unchanged
    case forced
    /// The snapshot before does not have it.
    case new
    /// The snapshot before does not say what it read, or is tainted.
    case untracked
    /// The file system's times are not known to show every change.
    case untrusted
    /// Another device or inode, or another database.
    case replaced
    /// Another size or time.
    case changed
    /// The file system was mounted anew: a crash may have kept what was written and lost the times of it.
    case remounted
    /// When it was read it had changed so recently that a later change could have the same times.
    case fresh
    /// The clock went back.
    case clock
    /// The repository no longer has all of it.
    case lost

    /// Whether a file that an earlier snapshot has read must be read again.
    ///
    /// Why equal times prove equal content:
    /// - `write` sets `ctime`, which nobody can set back, before it copies a byte; what is written after a file was
    ///   read gets a time from then on. So a time that was older than `margin` when reading began is not the time of
    ///   a later write, however coarse the clock.
    /// - A write through a mapping sets the times when the page is first made writable, and later stores do not. Nobody
    ///   had the file mapped when it was read offline, so a later store begins with a fault, which sets them; and libdb
    ///   never maps a database for writing (`mp_fopen.c:597`).
    /// - Content that is dirty in the page cache is what a read gives, whether its writer lives or not.
    static func decide(before: Manifest.StoredFile.FileIdentity?, now: Manifest.StoredFile.FileIdentity)
        -> Reading
    {
        guard let before else { return .untracked }
        // Whole seconds are all that some file systems keep.
        guard let mounting = now.mounting, now.changed.nanoseconds != 0 else { return .untrusted }
        guard (before.device, before.inode) == (now.device, now.inode) else { return .replaced }
        guard before.size == now.size, before.modified == now.modified, before.changed == now.changed else {
            return .changed
        }
        guard before.mounting == mounting else { return .remounted }
        guard before.read <= now.read else { return .clock }
        let newest = max(before.modified, before.changed)
        guard newest < before.read.earlier(bySeconds: before.margin) else { return .fresh }
        return .unchanged
    }
}

/// How a source goes about files that may not have to be read.
struct UnchangedFiles {
    /// Nobody writes: only the coarseness of times counts. The kernel's clock for them stands still for up to 10 ms,
    /// ext3 and ext4 with small inodes keep whole seconds.
    static let offlineMargin: UInt32 = 2
    /// A direct write sets the times, then waits for the disk; a read meanwhile still gives the old bytes. The kernel
    /// gives such a request up after minutes.
    static let directMargin: UInt32 = 600

    var margin: UInt32
    /// `--force`
    var readsAll: Bool

    /// Of an open file, to be taken before its first byte is read.
    func identity(of file: borrowing File) throws(VarveError) -> Manifest.StoredFile.FileIdentity {
        let read = Clock.now()
        let status = try file.status()
        return Manifest.StoredFile.FileIdentity(
            device: status.device, inode: status.inode, size: status.size, modified: status.modified,
            changed: status.changed, read: read, margin: margin,
            mounting: Mounting.identifier(of: file.path, device: status.device))
    }

    /// - Parameter previous: what the snapshot before says of it.
    func decide(
        _ file: EnvironmentFile, _ now: Manifest.StoredFile.FileIdentity, previous: Manifest.StoredFile?
    ) -> Reading {
        if readsAll { return .forced }
        guard let previous else { return .new }
        let reading = Reading.decide(before: previous.identity, now: now)
        guard reading == .unchanged else { return reading }
        // Whoever has the same inode has the same first page: but it costs nothing to look.
        guard let header = file.header, let database = previous.database,
            database.pageSize == UInt32(header.pageSize), previous.size == now.size
        else { return .replaced }
        if case .database = file.role, database.uid != header.fileID { return .replaced }
        return .unchanged
    }
}

extension Manifest.StoredFile.FileIdentity {
    /// Whether nothing happened to the file between the two.
    func isSame(as later: Self) -> Bool {
        var later = later
        later.read = read
        return self == later
    }
}

extension Timestamp {
    func earlier(bySeconds count: UInt32) -> Timestamp {
        let (earlier, overflow) = seconds.subtractingReportingOverflow(Int64(count))
        return Timestamp(seconds: overflow ? .min : earlier, nanoseconds: nanoseconds)
    }
}
