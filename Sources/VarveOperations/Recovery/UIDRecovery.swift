import Glibc
import VarveCapture
import VarveDatabase
import VarveFiles
import VarveFormat

/// A restored environment that is prepared for recovery by uid, in a directory of its own (`RecoveryByUID`).
///
/// `prepare`, then catastrophic recovery of `directory` with no settings at all, then `finish`. Where that fails,
/// `abandon` puts the logs' bytes back and every file where it was.
struct UIDRecovery {
    /// The home that recovery has to be run on: databases and logs lie in it side by side.
    let directory: String
    private let home: String
    private let logDirectory: String
    private let plan: RecoveryByUID
    /// Records of the logs as they were, in the order in which they were changed.
    private var originals: [(number: UInt32, offset: UInt64, bytes: [UInt8])] = []

    static let directoryName = ".varve-recovery"

    /// Nil if recovery by libdb alone loses nothing, or the logs are encrypted and can't be asked.
    ///
    /// - Parameters:
    ///   - home: restored, absolute.
    ///   - logDirectory: restored, absolute; on the same file system.
    ///   - files: all databases, extents and placeholders that were restored.
    static func prepare(home: String, logDirectory: String, files: [RecoveryByUID.RestoredFile])
        throws(VarveError)
        -> UIDRecovery?
    {
        guard let logged = try LoggedFiles.read(logDirectory) else { return nil }
        let homeOf: (String) -> String? = { RecoveryByUID.relative($0) }
        guard let plan = try RecoveryByUID.plan(logged, restored: files, homeOf: homeOf) else { return nil }
        var recovery = UIDRecovery(home: home, logDirectory: logDirectory, plan: plan)
        do {
            try recovery.begin()
        } catch {
            recovery.abandonQuietly()
            throw error
        }
        return recovery
    }

    private init(home: String, logDirectory: String, plan: RecoveryByUID) {
        (self.home, self.logDirectory, self.plan) = (home, logDirectory, plan)
        directory = Path.join(home, Self.directoryName)
    }

    private mutating func begin() throws(VarveError) {
        try Directory.create(directory, mode: 0o700)
        if let owner = try FileStatus.of(home), geteuid() == 0 {
            try systemCall("chown", directory) { chown(directory, owner.user, owner.group) }
        }
        for move in plan.moves {
            try Directory.rename(Path.join(home, move.from), to: Path.join(directory, move.work))
        }
        for number in try Self.numbers(in: logDirectory) {
            let name = EnvironmentFileKind.logName(number)
            try Directory.rename(Path.join(logDirectory, name), to: Path.join(directory, name))
        }
        for number in try Self.numbers(in: directory) { try change(number) }
    }

    /// Puts a log's records into the form that recovery has to read.
    private mutating func change(_ number: UInt32) throws(VarveError) {
        let file = try File.open(updating: Path.join(directory, EnvironmentFileKind.logName(number)))
        var changed: [(offset: UInt64, bytes: [UInt8])] = []
        let size = try file.status().size
        var found: [(number: UInt32, offset: UInt64, bytes: [UInt8])] = []
        _ = try LogWalker.walk(
            number: number, size: size,
            read: { (offset, buffer) throws(VarveError) in try file.read(into: buffer, at: offset) }
        ) {
            (record) throws(VarveError) in
            switch record.event {
            case .register, .file: break
            default: return
            }
            let offset = UInt64(record.lsn.offset)
            let bytes = try [UInt8](unsafeUninitializedCapacity: Int(record.length)) {
                (buffer, count) throws(VarveError) in
                count = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            }
            guard bytes.count == Int(record.length), let patched = try plan.patched(record, bytes) else {
                return
            }
            changed.append((offset, patched))
            found.append((number, offset, bytes))
        }
        // Not while they are walked: a record is known by its checksum, and by that of none before.
        originals += found
        for (offset, bytes) in changed {
            try bytes.withBytes { (bytes) throws(VarveError) in try file.write(bytes, at: offset) }
        }
    }

    /// Puts the files where they belong and the logs' bytes back, after recovery has succeeded.
    ///
    /// - Returns: what was restored and is not there any more, beneath the home: databases that were removed.
    mutating func finish() throws(VarveError) -> [String] {
        try putBack()
        for path in plan.dropped {
            let path = Path.join(home, path)
            if try FileStatus.of(path, followLinks: false) != nil { try Directory.removeFile(path) }
        }
        for name in try Directory.list(directory) {
            guard let destination = plan.destination(of: name) else { continue }
            let path = Path.join(home, destination)
            guard try FileStatus.of(path, followLinks: false) == nil else {
                throw VarveError(
                    .refused, "recovery brought up \(destination), and another file has its place",
                    location: path)
            }
            try Directory.createAll(Path.parent(path), mode: 0o755)
            try Directory.rename(Path.join(directory, name), to: path)
        }
        try moveLogs()
        try Directory.removeTree(directory)
        try Directory.sync(home)
        return plan.dropped
    }

    /// Everything back to where it was before `prepare`, as far as it goes.
    private mutating func abandon() throws(VarveError) {
        try putBack()
        for move in plan.moves {
            let work = Path.join(directory, move.work)
            if try FileStatus.of(work) != nil { try Directory.rename(work, to: Path.join(home, move.from)) }
        }
        try moveLogs()
        try Directory.removeTree(directory)
    }

    /// After an error, which is the one to tell.
    mutating func abandonQuietly() {
        Notices.attempt(.warning, directory, "logs and databases can't be moved back from there") {
            try abandon()
        }
    }

    private mutating func putBack() throws(VarveError) {
        for (number, offset, bytes) in originals {
            let file = try File.open(updating: Path.join(directory, EnvironmentFileKind.logName(number)))
            try bytes.withBytes { (bytes) throws(VarveError) in try file.write(bytes, at: offset) }
        }
        originals = []
    }

    /// Of the log files, ascending.
    static func numbers(in directory: String) throws(VarveError) -> [UInt32] {
        try Directory.list(directory).compactMap { name in
            if case .log(let number) = EnvironmentFileKind.classify(name) { number } else { nil }
        }.sorted()
    }

    private func moveLogs() throws(VarveError) {
        for number in try Self.numbers(in: directory) {
            let name = EnvironmentFileKind.logName(number)
            try Directory.rename(Path.join(directory, name), to: Path.join(logDirectory, name))
        }
    }
}

extension RestorePlan {
    /// What recovery has to do with.
    var recoveryFiles: [RecoveryByUID.RestoredFile] {
        files.filter { $0.kind == .database || $0.kind == .other }.map {
            RecoveryByUID.RestoredFile(path: $0.path, place: $0.database?.place, fileID: $0.database?.uid)
        }
    }
}

extension LoggedFiles {
    /// What all logs of a directory say of files; nil if they are encrypted.
    static func read(_ directory: String) throws(VarveError) -> LoggedFiles? {
        var logged = LoggedFiles()
        for number in try UIDRecovery.numbers(in: directory) {
            let file = try VarveFiles.File.open(
                reading: Path.join(directory, EnvironmentFileKind.logName(number)))
            let size = try file.status().size
            let summary = try LogWalker.walk(
                number: number, size: size,
                read: { (offset, buffer) throws(VarveError) in try file.read(into: buffer, at: offset) }
            ) {
                logged.add($0)
            }
            if summary.isEncrypted { return nil }
        }
        return logged
    }
}
