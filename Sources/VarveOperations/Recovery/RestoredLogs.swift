import VarveDatabase
import VarveFiles
import VarveFormat

/// What the restored logs themselves say, read before recovery: where they end, and which names they hold.
struct RestoredLogs: Sendable, Hashable {
    /// A name that leads somewhere else than into the environment's directories by itself: absolute, or with `..`.
    struct Name: Sendable, Hashable {
        var path: String
        /// Of the database that was opened by it; nil for what is none, or was not opened.
        var uid: String?
        /// It names a directory that files were made in.
        var isDirectory = false
    }

    /// Just past the last whole record; nil if there is none.
    var end: LSN?
    /// In order of appearance.
    var names: [Name] = []
    /// Which databases there are where the logs end.
    private(set) var files = LoggedFiles()
    /// Names are ciphertext.
    var isEncrypted = false

    /// More than that is no environment's: each costs memory, and a directory.
    static let nameLimit = 20_000

    /// - Parameters:
    ///   - directory: with the logs.
    ///   - numbers: of the logs to be read, ascending.
    /// - Throws: `.corrupt` for logs that hold more names than can be.
    init(in directory: RootDirectory, _ numbers: [UInt32], _ cancellation: Cancellation) throws(VarveError) {
        var seen: Set<Name> = []
        for number in numbers {
            try cancellation.check()
            let summary = try Self.walk(directory, number) { (record) throws(VarveError) in
                files.add(record)
                guard let event = record.event else { return }
                for name in Self.names(in: event) where Self.leadsElsewhere(name.path) {
                    guard seen.insert(name).inserted else { continue }
                    guard names.count < Self.nameLimit else {
                        throw VarveError(
                            .corrupt, "the logs name more than \(Self.nameLimit) files outside of the home")
                    }
                    names.append(name)
                }
            }
            if summary.isEncrypted { isEncrypted = true }
            if summary.header != nil {
                end = LSN(file: number, offset: UInt32(truncatingIfNeeded: summary.validLength))
            }
        }
    }

    /// Whether the logs say why there is no such database any more.
    func removes(_ uid: String) -> Bool { files.files[uid]?.removed != nil }

    /// - Parameter visit: called for each record.
    static func walk(
        _ directory: RootDirectory, _ number: UInt32, _ visit: LogWalker.Visit = { _ in }
    ) throws(VarveError) -> LogFileSummary {
        let file = try directory.open(reading: EnvironmentFileKind.logName(number))
        // libdb makes a log file as large as it may become: the rest of it is not read.
        return try LogWalker.walk(
            number: number, size: try file.dataEnd(),
            read: { (offset, buffer) throws(VarveError) in try file.read(into: buffer, at: offset) },
            visit: visit)
    }

    private static func names(in event: LogEvent) -> [Name] {
        switch event {
        case .register(let registration): [Name(path: registration.name, uid: registration.fileID)]
        case .file(.create(let name, let directory)), .file(.write(let name, let directory)):
            [Name(path: name), Name(path: directory, isDirectory: true)]
        case .file(.remove(let name, _)), .file(.leave(let name, _, _, _)): [Name(path: name)]
        case .file(.rename(let old, let new, let directory, _, _)):
            [Name(path: old), Name(path: new), Name(path: directory, isDirectory: true)]
        default: []
        }
    }

    /// Judged by its text: it is a path of another machine.
    static func leadsElsewhere(_ path: String) -> Bool {
        path.hasPrefix("/") || path.split(separator: "/").contains("..")
    }

    /// Where the logs end now.
    static func end(in directory: RootDirectory) throws(VarveError) -> LSN? {
        let newest = try directory.names().compactMap { name -> UInt32? in
            if case .log(let number) = EnvironmentFileKind.classify(name) { number } else { nil }
        }.sorted()
        // The last one may have been made and not written yet.
        for number in newest.suffix(2).reversed() {
            let summary = try walk(directory, number)
            if summary.header != nil {
                return LSN(file: number, offset: UInt32(truncatingIfNeeded: summary.validLength))
            }
        }
        return nil
    }
}
