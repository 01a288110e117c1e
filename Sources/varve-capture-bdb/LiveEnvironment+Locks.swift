import CBerkeleyDB
import VarveDatabase
import VarveFormat
import VarveHelperProtocol

// `dbbackup` opens the database (db_backup.c:81) and takes, as a locker that is no transaction: for writing the
// environment's lock, for moments (fop_util.c:310); for reading the file's handle, until it closes it (:440), and the
// first page, for moments (bt_open.c:324). Each of them it may have to wait for. After a SIGKILL
//
// - a lock that it holds stays;
// - one that it waits for is granted as to a living one (lock.c:1832), and stays: who wants to write the page, or to
//   open any database, waits for ever.
//
// It opens for reading, so nothing was left half done under any of them. `DB_ENV->failchk` frees the read locks of
// dead threads (lock_failchk.c:91), but only in environments that were made for it, and of all of them. Here it is done
// for one, with the calls that it makes.
extension LiveEnvironment {
    /// Frees the locks of a dead helper, held, granted or waited for; and its lockers.
    ///
    /// Not those of a locker that has anything but what reading takes; nor of one that waited, if the mutexes in which
    /// the threads of lockers wait can't be put in order first (`Regions.forgetWaits`). If what libdb prints is not
    /// as expected, or lacks locks, nothing is changed.
    func freeLocks(of process: Int32, _ thread: UInt64, _ repair: inout CaptureRepair) throws(VarveError) {
        guard hasLocks else { return }
        var list = LockerList(process: process, thread: thread)
        LibraryWords.listener = { list.add($0) }
        let code = varve_env_print_lockers(handle)
        LibraryWords.listener = nil
        guard code == 0, !list.isDamaged else { return }
        let mutexes = Regions.forgetWaits(root, of: process, thread)
        // Each has one; fewer are not all of them.
        let areInOrder = mutexes.map { $0 >= list.lockers.count } ?? false
        for locker in list.lockers {
            guard locker.onlyReads, areInOrder || locker.locks.allSatisfy({ $0.status == .held }) else {
                repair.remainingLocks += UInt32(locker.locks.count)
                continue
            }
            let isWriter = locker.locks.contains { $0.mode != "READ" }
            try Library.check(
                varve_env_put_locks(handle, locker.id, isWriter ? 1 : 0), "free the locks of a dead helper",
                home)
            repair.freedLocks += UInt32(locker.locks.count)
            // An empty one is no harm.
            if areInOrder { _ = varve_env_free_locker(handle, locker.id) }
        }
    }
}
