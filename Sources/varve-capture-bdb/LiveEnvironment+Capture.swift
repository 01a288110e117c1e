import CBerkeleyDB
import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

// What holds an application's page writers, read in libdb 5.3.28:
//
// - `__memp_backup_open` sets `MPOOLFILE.backup_in_progress` (mp_backup.c:93); alone it holds nobody, it only
//   makes writers look at the range (mp_bh.c:400).
// - `__memp_backup_mpf` waits until the writers that are under way are done, up to which new ones block on
//   `mtx_write` (mp_backup.c:166-173), then sets the range `low_pgno...high_pgno` of the next 1 MiB (:175) and
//   reads it and calls us. Until the next range is set, a writer of a page in the range gets EAGAIN
//   (mp_bh.c:402): eviction takes another page, a checkpoint comes back in a second (mp_sync.c:468-470).
// - So reading on with callbacks that drop everything holds writers only of the 1 MiB being read, for as long
//   as the read takes. Giving up is better still: a callback that returns an error ends the loop (:190-193), the
//   range is cleared (:229), `__memp_backup_close` clears `backup_in_progress` (:266, reached whatever
//   `__memp_backup_mpf` returned, db_backup.c:107), nothing panics, and `dbbackup` returns our code. Only
//   `backup()` treats ENOENT and EINVAL as "no such file"; we return ECANCELED, and call `dbbackup`.
// - After a SIGKILL the flag and the last range stay: a page in it can never be written, the checkpoint loops.
//   `dbbackup` on the same file finds the flag set, complains with `ret` still 0 (:87-92) and goes on: its
//   close clears both. That is `clear`.
// - After a SIGKILL during the wait for writers `mtx_write` stays taken as well: whoever needs it waits for ever,
//   `clear` too (:86), so `Regions.freeMutexes` frees it first. In the callbacks we hold no mutex of libdb.
// - After a SIGKILL the locks stay that opening the file takes, held or waited for: `freeLocks` takes them away.

extension LiveEnvironment {
    /// One pass over a database file and, for a queue, its extents.
    func capture(_ file: String, resume: Bool, slots: Slots, channel: Channel) throws(VarveError)
        -> CaptureOutcome
    {
        let pass: CapturePass
        if resume, let current = CapturePass.current, current.file == file {
            pass = current
            pass.startAgain()
        } else {
            guard !resume else { throw VarveError(.invalid, "\(file) was not interrupted") }
            pass = CapturePass(file: file, slots: slots, channel: channel)
        }
        try journal.announce { $0.file = file }
        CapturePass.current = pass
        let code = try backupWithExtents(file, pass)
        switch pass.state {
        case .running:
            CapturePass.current = nil
            pass.finish()
            guard code != ENOENT || !pass.hasCompletedParts else {
                throw VarveError(
                    .refused, "libdb can't list the extents of the queue \(file): the last is not made yet",
                    location: home,
                    hint:
                        "append a record to the queue and back up again, or stop the application and use --offline"
                )
            }
            guard code != ENOENT else {
                throw VarveError(.missing, "the database \(file) is not there", location: home)
            }
            try Library.check(code, "copy the database \(file)", home)
            return .complete(droppedBytes: pass.droppedBytes)
        case .interrupted(let name, let offset):
            return .interrupted(file: name, offset: offset)
        case .cancelled:
            CapturePass.current = nil
            return .cancelled
        case .failed(let error):
            CapturePass.current = nil
            throw error
        }
    }

    /// As `backup`, again while it finds the extent that a queue's next record belongs to missing: before the
    /// first record in it, and after the last. `__qam_gen_filelist` means to skip that one and returns its ENOENT
    /// all the same (qam_files.c:571-588, nothing clears `ret` after the last), with none of the extents copied.
    private func backupWithExtents(_ file: String, _ pass: CapturePass) throws(VarveError) -> Int32 {
        for _ in 0..<200 {
            let code = try backup(file)
            guard code == ENOENT, pass.hasCompletedParts, case .running = pass.state else { return code }
            usleep(10_000)
            pass.startAgain()
        }
        return try backup(file)
    }

    /// Copies a database to nowhere. One that is not there any more needs no clearing.
    func clear(_ file: String) throws(VarveError) {
        CapturePass.current = nil
        // The complaint that a backup is in progress is what we came for.
        LibraryWords.isQuiet = true
        defer { LibraryWords.isQuiet = false }
        let code = try backup(file)
        if code != ENOENT { try Library.check(code, "clear the database \(file)", home) }
    }

    private func backup(_ file: String) throws(VarveError) -> Int32 {
        try Library.check(
            varve_env_set_backup_callbacks(handle, onOpen, onWrite, onClose), "set the backup callbacks", home
        )
        defer { LibraryWords.isQuiet = false }
        return varve_env_dbbackup(handle, file)
    }
}

private func onOpen(
    _ env: UnsafeMutablePointer<DB_ENV>?, _ name: UnsafePointer<CChar>?, _ target: UnsafePointer<CChar>?,
    _ handle: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> Int32 {
    // Not nil: after an `open` that fails, `close` is called with NULL, twice (mp_backup.c:105, db_backup.c:107).
    handle?.pointee = UnsafeMutableRawPointer(bitPattern: 1)
    guard let pass = CapturePass.current, let name else { return 0 }
    return pass.open(String(cString: name))
}

private func onWrite(
    _ env: UnsafeMutablePointer<DB_ENV>?, _ gigabytes: UInt32, _ bytes: UInt32, _ size: UInt32,
    _ buffer: UnsafeMutablePointer<UInt8>?, _ handle: UnsafeMutableRawPointer?
) -> Int32 {
    SignOfLife.give()
    guard let pass = CapturePass.current, let buffer else { return 0 }
    let offset = UInt64(gigabytes) << 30 + UInt64(bytes)
    return pass.write(UnsafeRawBufferPointer(start: buffer, count: Int(size)), at: offset)
}

private func onClose(
    _ env: UnsafeMutablePointer<DB_ENV>?, _ name: UnsafePointer<CChar>?, _ handle: UnsafeMutableRawPointer?
) -> Int32 {
    if handle != nil { CapturePass.current?.close() }
    return 0
}
