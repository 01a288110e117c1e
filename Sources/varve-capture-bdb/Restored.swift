import CBerkeleyDB
import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// What is done to a restored environment that nobody else has open.
enum Restored {
    nonisolated(unsafe) private static var lastPercent: UInt8?

    /// Pages that outgrow the cache go to files without a name in the restored home: there is room, and in a drill nothing
    /// else can be written. libdb itself would take `/var/tmp` (os_tmpdir.c).
    private static func makeHandle(_ environment: CaptureEnvironment, _ password: String?) throws(VarveError)
        -> Handle
    {
        let handle = try Library.makeHandle(environment, password: password)
        do {
            try Library.check(
                varve_env_set_tmp_dir(handle, environment.home), "set the directory of temporary files",
                environment.home)
        } catch {
            _ = varve_env_close(handle)
            throw error
        }
        return handle
    }

    /// Where the logs say that a database was opened exclusively, libdb takes its lock again (`dbreg_util.c:644`): without
    /// a lock table it crashes, as `db_recover` does. So here there is one.
    ///
    /// Catastrophic recovery else as `db_recover -c` does it (util/db_recover.c:143-148): in private regions, so that
    /// none are left for an application to join with sizes that are not its own; existing ones are removed.
    static func recover(_ environment: CaptureEnvironment, password: String?) throws(VarveError) {
        let handle = try makeHandle(environment, password)
        lastPercent = nil
        _ = varve_env_set_feedback(handle) { _, operation, percent in
            guard operation == DB_RECOVER else { return }
            Restored.report(percent)
        }
        let flags =
            DB_CREATE | DB_INIT_LOCK | DB_INIT_LOG | DB_INIT_MPOOL | DB_INIT_TXN | DB_RECOVER_FATAL
            | DB_PRIVATE
        let code = varve_env_open(handle, environment.home, UInt32(flags))
        let closed = varve_env_close(handle)
        guard code == 0 else {
            // The check of the first log against the key fails with -1 (`__log_valid`, log.c; [BDB2527]).
            if password != nil, LibraryWords.contains("BDB2527") {
                throw VarveError(
                    .wrongKey, "wrong password: it does not fit the environment's logs",
                    location: environment.home,
                    hint: "give the right one with --password-file, and run the same command again")
            }
            throw Library.error(code, "catastrophic recovery failed", environment.home)
        }
        try Library.check(closed, "close the recovered environment", environment.home)
    }

    private static func report(_ percent: Int32) {
        let value = UInt8(clamping: percent)
        if value == lastPercent { return }
        lastPercent = value
        LibraryWords.channel?.send(.progress(value))
    }

    /// `DB->verify` of whole files, each with its subdatabases, in a private cache.
    static func verify(
        _ environment: CaptureEnvironment, files: [String], password: String?, channel: Channel
    ) throws(VarveError) {
        let handle = try makeHandle(environment, password)
        defer { _ = varve_env_close(handle) }
        // As much as db_verify takes at first: small caches only make it slow.
        try Library.check(varve_env_set_cache(handle, 16 << 20), "set the cache size", environment.home)
        let flags = UInt32(DB_CREATE | DB_INIT_MPOOL | DB_PRIVATE)
        let code = varve_env_open(handle, environment.home, flags)
        try Library.check(code, "open the restored environment", environment.home)
        for file in files {
            LibraryWords.lines = []
            var code = varve_db_verify(handle, file, 0)
            let words = LibraryWords.lines
            var orderChecked = true
            if code == DB_VERIFY_BAD, varve_db_verify(handle, file, UInt32(DB_NOORDERCHK)) == 0 {
                // All is well but the order of keys: so it looks where the application has its own comparison.
                orderChecked = false
                code = 0
            }
            channel.send(
                .verified(
                    CaptureVerification(
                        file: file, code: code, orderChecked: orderChecked,
                        messages: words.map { String($0.prefix(500)) })))
            channel.flushBlocking()
            if channel.parentIsGone { return }
        }
    }
}
