import CBerkeleyDB
import Glibc
import VarveFiles
import VarveFormat

// `__memp_backup_mpf` waits for page writers, in `select`, with `MPOOLFILE.mtx_write` taken (mp_backup.c:166-173). Who
// is killed there keeps it: page writers wait in MUTEX_READLOCK (mp_bh.c:401), the next `dbbackup` of the file in
// MUTEX_LOCK (mp_backup.c:86), for ever. What it guards are `backup_in_progress`, `pid`, `tid`, `low_pgno` and
// `high_pgno`, and `LiveEnvironment.clear` puts all of them right, wherever their owner died. So it can be freed.
extension Regions {
    /// Frees each `mtx_write` that the process, which must be dead, holds, or was granted after its death.
    ///
    /// Only of 5.3 in 64 bits, where the regions are files and everything on the way to a mutex is as in 5.3.28
    /// (`regions.h`); and only what libdb and glibc both say is that process's; or what glibc says is nobody's for a
    /// second, and was last had by that process or by one that is gone: who waits for the last reader and is killed
    /// gets the lock from that reader all the same. Nobody but backups takes it for writing. Not what the process died
    /// for in the few instructions around either: that looks like somebody else's, and is left alone.
    ///
    /// - Returns: how many.
    static func freeMutexes(_ root: RootDirectory, of process: Int32) -> UInt32 {
        var freed: UInt32 = 0
        _ = forEachMutex(root) { mutex in
            guard varve_mutex_is_held(mutex, process) != 0 || wasGranted(mutex, process) else { return }
            if varve_mutex_free(mutex) == 0 { freed += 1 }
        }
        return freed
    }

    private static func wasGranted(_ mutex: UnsafeMutablePointer<varve_mutex>, _ process: Int32) -> Bool {
        for _ in 0..<100 {
            let last = mutex.pointee.pid
            guard varve_mutex_is_granted(mutex) != 0,
                last == process || ProcessTable.startTime(of: last) == nil
            else { return false }
            usleep(10_000)
        }
        return true
    }

    /// Makes the mutexes of a dead thread's lockers as if it had never waited: libdb makes a lock's mutex anew when
    /// it frees the lock of one that waited (lock.c:1413), and would hang there with the lock table's own mutex.
    ///
    /// - Returns: how many there are; nil if one could not be had, or they can't be found (see `freeMutexes`).
    static func forgetWaits(_ root: RootDirectory, of process: Int32, _ thread: UInt64) -> Int? {
        var count = 0
        var isComplete = true
        let areFound = forEachMutex(root) { mutex in
            guard varve_mutex_is_of_locker(mutex, process, thread) != 0 else { return }
            count += 1
            // libdb has it for moments when it grants a lock.
            for attempt in 0..<200 {
                if attempt > 0 { usleep(5000) }
                if varve_mutex_forget_waiter(mutex) == 0 { return }
            }
            isComplete = false
        }
        return areFound && isComplete ? count : nil
    }

    /// - Returns: false if the mutexes can't be found.
    private static func forEachMutex(
        _ root: RootDirectory, _ body: (UnsafeMutablePointer<varve_mutex>) -> Void
    )
        -> Bool
    {
        guard MemoryLayout<Int>.size == 8, let region = mutexRegion(root),
            let memory = try? SharedMemory(mapping: root.open(updating: region.name, creating: false)),
            let mutexes = mutexes(memory.bytes, region.primary)
        else { return false }
        for index in 1...mutexes.count {
            let place = memory.bytes.baseAddress! + mutexes.offset + index * mutexes.size
            body(place.assumingMemoryBound(to: varve_mutex.self))
        }
        return true
    }

    /// The file that the mutexes are in, and where in it libdb's description of them is: from the primary region's
    /// table. System V memory has no files, and in `__db.001` no table.
    private static func mutexRegion(_ root: RootDirectory) -> (name: String, primary: Int)? {
        guard let file = try? root.open(reading: name),
            let head = value(file, at: 0, varve_regenv.self), head.magic == VARVE_REGION_MAGIC,
            head.major == 5, head.minor == 3, head.region_cnt < 10_000, head.region_off < 1 << 40
        else { return nil }
        for index in 0..<Int(head.region_cnt) {
            let place = Int(head.region_off) + index * MemoryLayout<varve_region>.stride
            guard let region = value(file, at: place, varve_region.self) else { return nil }
            guard region.id != 0, region.type == VARVE_REGION_TYPE_MUTEX else { continue }
            guard region.id < 1000, region.primary < 1 << 40 else { return nil }
            let number = String(region.id)
            let name = "__db." + String(repeating: "0", count: 3 - number.utf8.count) + number
            return (name, Int(region.primary))
        }
        return nil
    }

    /// Where the array is, whose element 0 is not used (mut_region.c:177-205); nil if its description contradicts
    /// itself or the size of a mutex of the expected build.
    private static func mutexes(_ bytes: UnsafeMutableRawBufferPointer, _ primary: Int)
        -> (offset: Int, size: Int, count: Int)?
    {
        func load<T: BitwiseCopyable>(_ offset: Int, _ type: T.Type) -> T? {
            guard offset >= 0, offset + MemoryLayout<T>.size <= bytes.count else { return nil }
            return bytes.loadUnaligned(fromByteOffset: offset, as: T.self)
        }
        guard let head = load(primary, varve_mutex_region.self) else { return nil }
        for extra in [0, MemoryLayout<db_mutex_t>.size] {
            let place = primary + MemoryLayout<varve_mutex_region>.size + extra
            guard let counts = load(place, varve_mutex_counts.self), counts.cnt > 0, counts.align > 0,
                counts.align <= 4096
            else { continue }
            let align = Int(counts.align)
            let size = (MemoryLayout<varve_mutex>.size + align - 1) / align * align
            guard head.mutex_size == size, head.mutex_off < bytes.count,
                head.mutex_off_alloc <= head.mutex_off,
                head.mutex_off < head.mutex_off_alloc + db_size_t(align),
                Int(counts.cnt) < bytes.count / size,
                Int(head.mutex_off) + (Int(counts.cnt) + 1) * size <= bytes.count,
                Int(head.mutex_off) % MemoryLayout<varve_mutex>.alignment == 0,
                size % MemoryLayout<varve_mutex>.alignment == 0
            else { continue }
            return (Int(head.mutex_off), size, Int(counts.cnt))
        }
        return nil
    }

    private static func value<T: BitwiseCopyable>(_ file: borrowing File, at offset: Int, _ type: T.Type)
        -> T?
    {
        guard let bytes = try? read(file, at: UInt64(offset), count: MemoryLayout<T>.size),
            bytes.count == MemoryLayout<T>.size
        else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: T.self) }
    }
}
