import VarveCapture
import VarveFiles
import VarveFormat

/// What catastrophic recovery and verification of a restored environment said.
public struct RecoveryReport: Sendable, Codable, Hashable {
    public struct Database: Sendable, Codable, Hashable {
        public var path: String
        public var isGood: Bool
        /// libdb's words.
        public var messages: [String]
    }

    /// Where recovery brought the environment: the end of the restored logs.
    public var endOfLog: LSN
    public var recoverableTo: Timestamp
    public var databases: [Database]
    /// Paths that recovery could not reach, or found the restored files at; nil if it was not isolated.
    public var covered: [String]?

    public var isGood: Bool { databases.allSatisfy(\.isGood) }

    /// For people, one fact a line.
    public var lines: [String] {
        let bad = databases.filter { !$0.isGood }
        var lines = [
            "recovered to \(endOfLog), everything durable before \(recoverableTo); "
                + "\(databases.count - bad.count) of \(databases.count) database files verified"
        ]
        for database in bad {
            lines.append("db_verify fails: \(database.path): " + database.messages.joined(separator: "; "))
        }
        return lines
    }
}

/// Brings a restored environment up: catastrophic recovery with the directories it had, then `db_verify`.
public struct Recovery {
    private let plan: RestorePlan
    private let password: [UInt8]?

    private let cancellation: Cancellation
    private let isolation: DrillIsolation?

    /// - Parameter isolation: what the helper must not reach while it works; as root only.
    public init(
        _ plan: RestorePlan, password: [UInt8]?, cancellation: Cancellation = Cancellation(),
        isolation: DrillIsolation? = nil
    ) {
        self.isolation = isolation
        self.plan = plan
        self.password = password
        self.cancellation = cancellation
    }

    /// - Throws: `.refused` if there is nothing to recover, `.wrongKey`, or what libdb says.
    public func run() throws -> RecoveryReport {
        guard let environment = plan.environment, let recovery = plan.recovery else {
            throw VarveError(.refused, "snapshot \(plan.snapshot) is not of a database environment")
        }
        if environment.encrypted && password == nil {
            throw VarveError(
                .wrongKey, "the environment is encrypted: recovery needs its password", location: plan.target,
                hint:
                    "the files are restored: recover them with 'db5.3_recover -c -P PASSWORD -h \(plan.target)', or "
                    + "restore again with --password-file")
        }
        // What DB_CONFIG says libdb reads itself; saying it twice would search a directory twice.
        let unknown = environment.dataDirectories.filter { !$0.configured }.map(\.restored)
        let logs = environment.logDirectory
        let home = try Path.resolve(plan.target)
        let helper = try BerkeleyDBHelper(
            CaptureEnvironment(
                home: home, dataDirectories: unknown,
                logDirectory: logs.configured || logs.restored == "." ? nil : logs.restored),
            password: password, lock: nil, isCancelled: { [cancellation] in cancellation.isRequested })
        let covered = try isolation.map { try helper.isolate(scratch: $0.scratch, covers: $0.covers) }
        try helper.recover()
        let owners = plan.files.filter { $0.kind == .database && $0.database?.uid != nil }
        // By absolute names: libdb would look for a relative one in every data directory, and take the first.
        let verified = try helper.verify(owners.map { Path.join(home, $0.path) })
        try helper.close()
        return RecoveryReport(
            endOfLog: recovery.endOfLog, recoverableTo: recovery.recoverableTo,
            databases: zip(owners, verified).map { file, result in
                .init(path: file.path, isGood: result.code == 0, messages: result.messages)
            }, covered: covered)
    }
}

/// Undoes what a killed backup left; see `VarveCapture.unwedge`.
public func unwedge(_ options: EnvironmentOptions, password: [UInt8]?) throws -> UnwedgeReport {
    try unwedge(
        CaptureEnvironment(
            home: options.home, dataDirectories: options.dataDirectories, logDirectory: options.logDirectory),
        password: password)
}
