import VarveFormat

/// What the helper says of an environment before anything of it is changed.
package struct CapturePreflight: Hashable, Sendable {
    /// `DB_VERSION_STRING` of the library that joined.
    package var library: String
    /// Where the environment's logs are, as libdb resolves it.
    package var logDirectory: String
    /// `set_lg_max` in force.
    package var logFileSize: UInt32
    /// The end of the log, and how much of it is on disk.
    package var endOfLog: LSN
    package var diskLSN: LSN
    /// As libdb knows them (`DB_CONFIG` and ours), in its order; empty if there is the home alone.
    package var dataDirectories: [String]
    package var autoRemove: Bool
    package var encrypted: Bool
    /// `__db.register` was there and we registered.
    package var registered: Bool
    /// Backups that raised the hot-backup counter already; nil if it can't be read (0 and "some" are always told apart).
    package var hotBackups: UInt32?
    package var hotBackupInProgress: Bool

    package init(
        library: String, logDirectory: String, logFileSize: UInt32, endOfLog: LSN, diskLSN: LSN,
        dataDirectories: [String], autoRemove: Bool, encrypted: Bool, registered: Bool, hotBackups: UInt32?,
        hotBackupInProgress: Bool
    ) {
        self.library = library
        self.logDirectory = logDirectory
        self.logFileSize = logFileSize
        self.endOfLog = endOfLog
        self.diskLSN = diskLSN
        self.dataDirectories = dataDirectories
        self.autoRemove = autoRemove
        self.encrypted = encrypted
        self.registered = registered
        self.hotBackups = hotBackups
        self.hotBackupInProgress = hotBackupInProgress
    }
}

/// The checkpoint that recovery of a backup starts from, read before the first page.
package struct CaptureCheckpoint: Hashable, Sendable {
    package var lsn: LSN
    /// `ckp_lsn`: its file is the first needed log.
    package var checkpointLSN: LSN
    package var envid: UInt32

    package init(lsn: LSN, checkpointLSN: LSN, envid: UInt32) {
        self.lsn = lsn
        self.checkpointLSN = checkpointLSN
        self.envid = envid
    }
}

/// How far the log is.
package struct CaptureLogStatus: Hashable, Sendable {
    package var endOfLog: LSN
    package var diskLSN: LSN
    /// Nil before the first checkpoint.
    package var lastCheckpoint: LSN?

    package init(endOfLog: LSN, diskLSN: LSN, lastCheckpoint: LSN?) {
        self.endOfLog = endOfLog
        self.diskLSN = diskLSN
        self.lastCheckpoint = lastCheckpoint
    }
}

/// How one pass of `dbbackup` over a database ended.
package enum CaptureOutcome: Hashable, Sendable {
    /// Everything was copied; bytes that the shifted-page rule dropped (their changes are in the logs).
    case complete(droppedBytes: UInt64)
    /// No slot came free in time, so the page writers were let go at this offset of this file: resume.
    case interrupted(file: String, offset: UInt64)
    case cancelled
}

/// What undoing a dead helper's state came to.
package struct CaptureRepair: Hashable, Sendable {
    /// There was a journal.
    package var journal = false
    /// The regions are other ones by now, so there was nothing to undo.
    package var regionsReplaced = false
    /// Mutexes of libdb that the dead helper held and that were freed.
    package var freedMutexes: UInt32 = 0
    /// Locks of the dead helper, held or waited for, that were freed.
    package var freedLocks: UInt32 = 0
    /// Locks of it that were left alone.
    package var remainingLocks: UInt32 = 0
    /// The database whose page writers were let go.
    package var clearedFile: String?
    package var loweredCounter = false
    package var restoredAutoRemove = false
    /// Whether the dead helper had raised the counter can't be told, so it was left alone.
    package var counterUncertain = false
    /// Hot backups that the environment still counts, nil if it can't be read.
    package var remainingHotBackups: UInt32?

    package init() {}
}

/// Who has a lock that opening a database takes.
package struct CaptureLockHolder: Hashable, Sendable {
    /// The lock is the database's as a whole: of an exclusive handle, or of a transaction that creates, removes or
    /// renames it. Else it is its first page's, of a transaction that allocates or frees pages.
    package var isHandle: Bool
    /// False for a handle that stays open between transactions, and where it can't be told.
    package var isTransaction: Bool
    /// Nil if it can't be told.
    package var process: Int32?

    package init(isHandle: Bool, isTransaction: Bool, process: Int32?) {
        self.isHandle = isHandle
        self.isTransaction = isTransaction
        self.process = process
    }
}

/// One database file's verdict.
package struct CaptureVerification: Hashable, Sendable {
    package var file: String
    /// What `DB->verify` returned: 0 if all is well.
    package var code: Int32
    /// False where only the order of the keys could not be checked: the application's own comparison is unknown.
    package var orderChecked: Bool
    /// libdb's words on it.
    package var messages: [String]

    package init(file: String, code: Int32, orderChecked: Bool, messages: [String]) {
        self.file = file
        self.code = code
        self.orderChecked = orderChecked
        self.messages = messages
    }
}

/// A `VarveError` on its way from the helper.
package struct CaptureFailure: Hashable, Sendable {
    package var code: String
    package var message: String
    package var hint: String?
    /// What libdb returned, 0 if the failure is not libdb's.
    package var libraryCode: Int32

    package init(code: String, message: String, hint: String?, libraryCode: Int32 = 0) {
        self.code = code
        self.message = message
        self.hint = hint
        self.libraryCode = libraryCode
    }
}

/// What the helper says. Every command but `.slotFree`, `.cancel` and `.quit` ends with exactly one answer:
/// the event of its name, or `.failed`.
package enum CaptureEvent: Hashable, Sendable {
    case ready(version: UInt16, library: String)
    case joined
    case preflight(CapturePreflight)
    case begun(CaptureCheckpoint?)
    case fileOpened(String)
    /// `count` bytes of the open file, from `offset` on, are in the slot until it is given back.
    case filled(slot: UInt32, count: UInt32, offset: UInt64)
    case fileClosed(String)
    case captured(CaptureOutcome)
    case ended
    case cleared
    case repaired(CaptureRepair)
    case logStatus(CaptureLogStatus)
    /// Recovery, in percent.
    case progress(UInt8)
    case recovered
    case verified(CaptureVerification)
    case verificationDone
    /// What libdb says unasked.
    case message(String)
    case failed(CaptureFailure)
    /// libdb goes on reading, but there is nothing to say of it: about once a second.
    case alive
    /// Nothing but the root directory can be reached.
    case confined
    /// Nil: a copy would wait for nobody.
    case holder(CaptureLockHolder?)
    /// As the application that opened them first named them, at most `CaptureProtocol.cachedFileLimit`.
    case cachedFiles([String])
    case synced
}
