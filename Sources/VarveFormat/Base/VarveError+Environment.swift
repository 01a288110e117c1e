extension VarveError.Code {
    /// No Berkeley DB environment at the path, or nobody has it open.
    package static let noEnvironment = Self(rawValue: "no-environment")
    /// The environment panicked, or says that recovery must run first.
    package static let needsRecovery = Self(rawValue: "needs-recovery")
    /// The environment's regions were made by another version or build of libdb.
    package static let libraryMismatch = Self(rawValue: "library-mismatch")
    /// Without transactions, logging, locking and a shared cache there is no hot backup.
    package static let notTransactional = Self(rawValue: "not-transactional")
    /// Logs that never reach a file can't be backed up.
    package static let memoryLogs = Self(rawValue: "memory-logs")
    /// The logs are not where the environment, joined as we were told, would look.
    package static let wrongLogDirectory = Self(rawValue: "wrong-log-directory")
    /// A log file that must be there is not.
    package static let missingLog = Self(rawValue: "missing-log")
    /// Only the environment's owner (or root) may join it.
    package static let notOwner = Self(rawValue: "not-owner")
    /// libdb returned an error that has no code of its own.
    package static let library = Self(rawValue: "library")
}
