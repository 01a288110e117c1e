import CBerkeleyDB
import Glibc
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// A live environment that this process joined.
///
/// Every change of its shared state is in the journal before it is made.
final class LiveEnvironment {
    /// For people; libdb knows it as ".", the working directory.
    let home: String
    let root: RootDirectory
    let handle: Handle
    let registered: Bool
    let encrypted: Bool
    /// Whether there is a lock table: some applications see to it themselves that one process writes at a time.
    let hasLocks: Bool
    var journal: JournalFile
    var journaled: CaptureJournal { journal.content }

    /// Joins, and does not create, recover or change anything: `open(home, 0)`, `DB_REGISTER` if and only if
    /// `__db.register` is there (joining without it would hide us from the others' liveness checks).
    ///
    /// - Parameter root: the home, which is the working directory, and whose owner this process is.
    init(
        _ environment: CaptureEnvironment, _ root: RootDirectory, _ rights: FileRights, password: String?
    ) throws(VarveError) {
        home = environment.home
        self.root = root
        try Regions.requireOwn(root, rights)
        guard let region = try Regions.identity(root) else {
            throw VarveError(
                .noEnvironment,
                "\(home) has no region files (__db.001): nobody has this environment open, or its regions are "
                    + "private to one process",
                hint: "if no application has it open, use --offline; private regions (DB_PRIVATE) can't be "
                    + "joined, so stop the application first")
        }
        try Startup.requireFileSizes(
            root, further: environment.dataDirectories + (environment.logDirectory.map { [$0] } ?? []),
            home: home)
        registered = try root.status(of: "__db.register") != nil
        let handle = try Library.makeHandle(environment, password: password)
        let code = varve_env_open(handle, ".", registered ? UInt32(DB_REGISTER) : 0)
        guard code == 0 else {
            let error = Self.joinError(code, home: home, withPassword: password != nil)
            _ = varve_env_close(handle)
            throw error
        }
        self.handle = handle
        var flags: UInt32 = 0
        encrypted = varve_env_get_encrypt_flags(handle, &flags) == 0 && flags != 0
        var openFlags: UInt32 = 0
        hasLocks = varve_env_get_open_flags(handle, &openFlags) == 0 && openFlags & UInt32(DB_INIT_LOCK) != 0
        journal = JournalFile(root, region: region)
        Watchdog.start(root, region)
    }

    func close() { _ = varve_env_close(handle) }

    private static func joinError(_ code: Int32, home: String, withPassword: Bool) -> VarveError {
        // The identifiers are libdb's message numbers (crypto.c:44-95); it returns the bare EINVAL with them.
        if LibraryWords.contains("BDB0174") {
            return VarveError(
                .wrongKey, "\(home) is encrypted and no password was given",
                hint: "give its password by --password-file, --password-fd or --password-command")
        }
        if LibraryWords.contains("BDB0172") {
            return VarveError(
                .wrongKey, "\(home) is not encrypted, but a password was given", hint: "leave it out")
        }
        if LibraryWords.contains("BDB0175") || (code == EPERM && withPassword) {
            return VarveError(
                .wrongKey, "wrong password for \(home)",
                hint:
                    "give the application's password (--password-file, --password-fd, --password-command)")
        }
        return Library.error(code, "the environment could not be joined", home)
    }

    // MARK: What there is

    /// Whether a log file is there. What libdb can't open it takes for a reason to panic, for everybody in the
    /// environment; and for a named pipe it would wait for ever, holding a mutex of all.
    ///
    /// - Parameter mode: `O_RDWR` for one that libdb may go on writing.
    /// - Throws: `.refused` for one that this process can't open, or that is no file.
    private func requireLogFile(_ found: String, _ shown: String, _ mode: Int32) throws(VarveError) -> Bool {
        let descriptor: Int32
        do {
            descriptor = try systemCall("open", shown) {
                open(found, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
            }
        } catch let error where error.isNoEntry {
            return false
        } catch {
            throw VarveError(
                .refused, "the environment's log can't be opened: \(error.message)", location: shown,
                hint:
                    "give the log back to the environment's owner (chown, chmod u+rw); varve stops here, as libdb"
                    + " panics if it can't open a log")
        }
        defer { Glibc.close(descriptor) }
        var status = stat()
        try systemCall("fstat", shown) { fstat(descriptor, &status) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw VarveError(
                .refused, "the environment's log is no file", location: shown,
                hint: "find out who put something else in its place; libdb would wait for it, or panic")
        }
        return true
    }

    func preflight() throws(VarveError) -> CapturePreflight {
        try requireTransactional()
        try requireNoPanic()
        var on: Int32 = 0
        try Library.check(
            varve_env_log_get_config(handle, UInt32(DB_LOG_IN_MEMORY), &on), "read the log settings", home)
        guard on == 0 else {
            throw VarveError(
                .memoryLogs, "\(home) keeps its logs in memory (DB_LOG_IN_MEMORY)",
                hint: "a hot backup needs logs in files; stop the application and use --offline")
        }
        let status = try logStatus()
        let files = try requireLogs(status)
        var raw = varve_log_status()
        try Library.check(varve_env_log_status(handle, &raw), "read the log's state", home)
        var flags: UInt32 = 0
        try Library.check(varve_env_get_flags(handle, &flags), "read the flags", home)
        return CapturePreflight(
            library: Library.version, logDirectory: Path.parent(files), logFileSize: raw.file_size,
            endOfLog: status.endOfLog, diskLSN: status.diskLSN, dataDirectories: dataDirectories(),
            autoRemove: try autoRemove(), encrypted: encrypted, registered: registered,
            hotBackups: hotBackups(), hotBackupInProgress: flags & UInt32(DB_HOTBACKUP_IN_PROGRESS) != 0)
    }

    private func requireTransactional() throws(VarveError) {
        var flags: UInt32 = 0
        try Library.check(varve_env_get_open_flags(handle, &flags), "read the open flags", home)
        // Not locking: that pages are whole, latches of the cache see to, which every environment has.
        let needed: [(Int32, String)] = [
            (DB_INIT_TXN, "transactions"), (DB_INIT_LOG, "logging"), (DB_INIT_MPOOL, "a shared cache"),
        ]
        let missing = needed.filter { flags & UInt32($0.0) == 0 }.map(\.1)
        guard missing.isEmpty else {
            throw VarveError(
                .notTransactional, "\(home) was created without \(missing.joined(separator: ", "))",
                hint: "it can't be backed up while it is in use: stop the application and use --offline")
        }
    }

    private func requireNoPanic() throws(VarveError) {
        var flags: UInt32 = 0
        try Library.check(varve_env_get_flags(handle, &flags), "read the flags", home)
        guard flags & UInt32(bitPattern: DB_PANIC_ENVIRONMENT) == 0 else {
            throw Library.error(DB_RUNRECOVERY, "the environment has panicked", home)
        }
    }

    /// The log file on disk must be where this handle would look, before anything reads a log through libdb: a
    /// log cursor or `log_archive` with a wrong directory panics the environment for everybody.
    ///
    /// - Returns: its path.
    private func requireLogs(_ status: CaptureLogStatus) throws(VarveError) -> String {
        // After a switch of files the new one appears with the first flush only, the old one is there before.
        let candidates = [status.diskLSN.file, status.endOfLog.file].filter { $0 > 0 }
        let paths = try candidates.map(logPath)
        var there: [(found: String, shown: String)] = []
        for path in paths {
            if try requireLogFile(path.found, path.shown, O_RDWR) { there.append(path) }
        }
        if let checkpoint = status.lastCheckpoint, !candidates.contains(checkpoint.file) {
            let path = try logPath(checkpoint.file)
            _ = try requireLogFile(path.found, path.shown, O_RDONLY)
        }
        if let path = there.first { return path.shown }
        guard status.diskLSN.file > 0 else {
            throw VarveError(
                .refused, "nothing was written to the environment yet: it has no log", location: home,
                hint: "back it up after its first transaction")
        }
        throw VarveError(
            .wrongLogDirectory,
            "the environment's current log \(paths.last?.shown ?? "log file") is not there",
            location: home,
            hint:
                "its application sets the log directory in its code: give it with --log-dir (going on with a "
                + "wrong one would panic the application)")
    }

    /// A log file's path from the working directory, and as people know it.
    func logPath(_ file: UInt32) throws(VarveError) -> (found: String, shown: String) {
        var lsn = DB_LSN(file: file, offset: 0)
        var buffer = [CChar](repeating: 0, count: 4096)
        try Library.check(
            varve_env_log_file(handle, &lsn, &buffer, buffer.count), "name log file \(file)", home)
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (name, Path.join(home, name.hasPrefix("./") ? String(name.dropFirst(2)) : name))
    }

    func logStatus() throws(VarveError) -> CaptureLogStatus {
        var raw = varve_log_status()
        try Library.check(varve_env_log_status(handle, &raw), "read the log's state", home)
        return CaptureLogStatus(
            endOfLog: LSN(file: raw.current_file, offset: raw.current_offset),
            diskLSN: LSN(file: raw.disk_file, offset: raw.disk_offset), lastCheckpoint: try lastCheckpoint())
    }

    private func lastCheckpoint() throws(VarveError) -> LSN? {
        var lsn = DB_LSN()
        try Library.check(varve_env_last_checkpoint(handle, &lsn), "read the last checkpoint", home)
        return lsn.file == 0 ? nil : LSN(file: lsn.file, offset: lsn.offset)
    }

    private func dataDirectories() -> [String] {
        var list: UnsafeMutablePointer<UnsafePointer<CChar>?>?
        guard varve_env_get_data_dirs(handle, &list) == 0, var next = list else { return [] }
        var names: [String] = []
        while let name = next.pointee {
            names.append(String(cString: name))
            next += 1
        }
        return names
    }

    func autoRemove() throws(VarveError) -> Bool {
        var on: Int32 = 0
        try Library.check(
            varve_env_log_get_config(handle, UInt32(DB_LOG_AUTO_REMOVE), &on), "read the log settings", home)
        return on != 0
    }

    /// The counter's value, or nil; a zero is always told, by libdb's own flag.
    func hotBackups() -> UInt32? {
        var flags: UInt32 = 0
        guard varve_env_get_flags(handle, &flags) == 0 else { return nil }
        if flags & UInt32(DB_HOTBACKUP_IN_PROGRESS) == 0 { return 0 }
        let checkpoint = (try? lastCheckpoint()) ?? nil
        guard let value = Regions.hotBackups(root, lastCheckpoint: checkpoint ?? .zero), value > 0 else {
            return nil
        }
        return value
    }

    /// The record of the last checkpoint: type 11, transaction, previous LSN, `ckp_lsn`, `last_ckp`, time, envid
    /// (txn.src). Through libdb, so that encrypted logs are read too; after the preflight only.
    func checkpoint() throws(VarveError) -> CaptureCheckpoint? {
        guard let lsn = try lastCheckpoint() else { return nil }
        let (found, path) = try logPath(lsn.file)
        guard try requireLogFile(found, path, O_RDONLY) else {
            throw VarveError(
                .missingLog, "\(path), the log of the last checkpoint \(lsn), is not there",
                hint: "logs were removed that the environment still needs: checkpoint it and try again")
        }
        var position = DB_LSN(file: lsn.file, offset: lsn.offset)
        var body = [UInt8](repeating: 0, count: 48)
        var length = 0
        let code = varve_env_log_record(handle, &position, &body, body.count, &length)
        try Library.check(code, "read the checkpoint record \(lsn)", home)
        return try body.withBytes { (bytes) throws(VarveError) in
            func word(_ offset: Int) -> UInt32 {
                bytes.integer(at: offset, as: UInt32.self)
            }
            guard length >= 40, word(0) == 11 else {
                throw VarveError(.corrupt, "the record at \(lsn) in \(path) is not a checkpoint")
            }
            return CaptureCheckpoint(
                lsn: lsn, checkpointLSN: LSN(file: word(16), offset: word(20)), envid: word(36))
        }
    }
}
