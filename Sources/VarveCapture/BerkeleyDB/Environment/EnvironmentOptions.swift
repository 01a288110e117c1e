import VarveFiles

/// Which environment to capture, and what only its application's code knows of it.
package struct EnvironmentOptions: Sendable, Hashable {
    /// The environment's home directory (`DB_HOME`).
    package var home: String
    /// What the application passes to `DB_ENV->set_data_dir` or `add_data_dir`, in its order; those of
    /// `DB_CONFIG` are found without being told.
    package var dataDirectories: [String]
    /// What the application passes to `DB_ENV->set_lg_dir`; nil if it does not or `DB_CONFIG` does.
    package var logDirectory: String?
    /// Only these databases, with their queue extents and partitions; empty for all.
    package var only: [String]
    /// Every log file that is there, also those that recovery of this backup does not need.
    package var allLogs: Bool
    /// Also files that can't have changed since the snapshot before; a live capture reads them anyway.
    package var readsAll: Bool

    /// As manifests name it: absolute, without symbolic links; nil if it is not there.
    var resolvedHome: String? { try? Path.resolve(home) }

    package init(
        home: String, dataDirectories: [String] = [], logDirectory: String? = nil, only: [String] = [],
        allLogs: Bool = false, readsAll: Bool = false
    ) {
        self.home = home
        self.dataDirectories = dataDirectories
        self.logDirectory = logDirectory
        self.only = only
        self.allLogs = allLogs
        self.readsAll = readsAll
    }
}
