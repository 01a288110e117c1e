import VarveCapture

/// A Berkeley DB environment of the C library.
public struct Environment: Hashable, Sendable {
    /// The home directory of the environment (`DB_HOME`).
    public var home: String
    /// Directories that the application names with `DB_ENV->add_data_dir`, in its order. Those of `DB_CONFIG` are found
    /// without being told.
    public var dataDirectories: [String] = []
    /// The directory that the application names with `DB_ENV->set_lg_dir`; nil if it names none.
    public var logDirectory: String?
    /// The password of an encrypted environment, as bytes; nil if it is not encrypted.
    public var password: [UInt8]?

    /// - Parameter home: the home directory of the environment.
    public init(home: String) { self.home = home }

    func options(_ backup: BackupOptions) -> EnvironmentOptions {
        EnvironmentOptions(
            home: home, dataDirectories: dataDirectories, logDirectory: logDirectory, only: backup.only,
            allLogs: backup.storesAllLogs, readsAll: backup.readsEveryFile)
    }
}
