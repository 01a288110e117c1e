import CBerkeleyDB
import VarveDatabase
import VarveFormat
import VarveHelperProtocol

// `dbbackup` waits in libdb, without end, for the lock of the database as a whole, which an exclusive handle
// (`DB->set_lk_exclusive`) keeps for its life, and for that of the first page, which a transaction keeps that allocates
// pages. So both are asked for first, without waiting: who waits in libdb can't be told to stop.
extension LiveEnvironment {
    /// Who has one of them; nil if nobody does, or there are no locks.
    func holder(of file: String, fileID: [UInt8]) throws(VarveError) -> CaptureLockHolder? {
        guard hasLocks else { return nil }
        guard fileID.count == Int(DB_FILE_ID_LEN) else {
            throw VarveError(.invalid, "a file's identity has \(DB_FILE_ID_LEN) bytes, not \(fileID.count)")
        }
        var locker: UInt32 = 0
        try Library.check(varve_env_lock_id(handle, &locker), "make a locker", home)
        defer { _ = varve_env_free_locker(handle, locker) }
        for (type, kind) in [(DB_HANDLE_LOCK, LockHolders.Kind.handle), (DB_PAGE_LOCK, .page)] {
            let code = varve_env_try_read_lock(handle, locker, fileID, UInt32(type))
            if code == 0 { continue }
            guard code == DB_LOCK_NOTGRANTED || code == DB_LOCK_DEADLOCK else {
                throw Library.error(code, "libdb could not ask for the lock of \(file)", home)
            }
            return describe(LockHolders(file: file, fileID: fileID, kind), kind)
        }
        return nil
    }

    private func describe(_ empty: LockHolders, _ kind: LockHolders.Kind) -> CaptureLockHolder {
        var list = empty
        LibraryWords.listener = { list.add($0) }
        _ = varve_env_print_lockers(handle)
        LibraryWords.listener = nil
        return CaptureLockHolder(
            isHandle: kind == .handle, isTransaction: list.holder?.isTransaction ?? (kind == .page),
            process: list.holder?.process)
    }
}
