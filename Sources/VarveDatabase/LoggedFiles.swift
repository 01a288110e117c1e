import VarveFormat

/// What a range of logs says of the files of an environment: which databases there are, by uid, what they were
/// called, and what committed transactions did to them.
///
/// Records are added in the order of the log, from its first file on. Only what a top-level transaction committed
/// within the range counts as done; a transaction that aborts leaves no record of that, and one that runs when the
/// range ends is no different. What happens to a file without a transaction is not in any log: a removal by `rm`,
/// or by `DB_ENV->dbremove` without `DB_AUTO_COMMIT`.
///
/// Memory is in proportion to the number of records about files, and bounded by `limit`.
package struct LoggedFiles: Sendable, Hashable {
    /// One database file.
    package struct DatabaseFile: Sendable, Hashable {
        /// 40 hexadecimal digits.
        package var fileID: String
        /// As it was called first in the range, and what it was renamed to since; never empty.
        package var names: [Name]
        /// The record with which its creation ends, if that is in the range.
        package var created: LSN?
        /// The record with which it was removed.
        package var removed: LSN?
        /// The last record that says that the file is there: it was opened, or open at a checkpoint, or renamed.
        package var lastSeen: LSN
        /// Of `lastSeen` or later, none of its handles is closed: an application has it open where the range ends.
        package var isOpen = false
        /// It was opened outside of any transaction, for writing: what is changed through such a handle is not logged.
        package var isOpenedUnlogged = false
        /// It was made or opened in a transaction: what is changed through such a handle is logged.
        package var isOpenedLogged = false

        package var firstName: String { names[0].name }
        package var name: String { names[names.count - 1].name }
        /// The data directory that it was made or renamed in, as the application gave it: absolute, or relative to the
        /// home; nil where no record tells.
        package fileprivate(set) var directory: String?
        /// By a committed transaction.
        package fileprivate(set) var isRenamed = false
    }

    package struct Name: Sendable, Hashable {
        /// The record that gave it, or that first showed it.
        package var since: LSN
        /// Absolute, or relative to a data directory or the home.
        package var name: String
    }

    /// Something that a committed transaction did to the names of files.
    package struct Change: Sendable, Hashable {
        package enum Kind: Sendable, Hashable {
            /// `temporary` is what it was called while it was made.
            case created(name: String, temporary: String)
            /// `placeholder` is the uid of the file that was put in its place until the commit.
            case renamed(from: String, to: String, placeholder: String)
            case removed(name: String)
            /// Of a queue that is renamed; `fileID` is made up of the queue's and the extent's number.
            case movedExtent(from: String, to: String)
        }
        package var fileID: String
        package var kind: Kind
        /// The data directory that the record gives, "" for the home or where it gives none.
        package var directory = ""
        /// The first record of what makes the change: logs that are cut here do not have it.
        package var begin: LSN
        /// Its last record.
        package var lsn: LSN
    }

    /// A directory beneath a data directory.
    package struct Place: Sendable, Hashable {
        /// The data directory that the record gives, "" for the home or where it gives none.
        package var directory: String
        package var path: String
    }

    /// By uid.
    package private(set) var files: [String: DatabaseFile] = [:]
    /// In the order of the log.
    package private(set) var changes: [Change] = []
    /// There was more in the logs than `limit`; the rest was left out.
    package private(set) var isTruncated = false
    /// Directories of files that a transaction made, renamed or removed, whether it committed or not: recovery does so
    /// again, and panics where there is no such directory.
    package private(set) var places: Set<Place> = []
    /// Where the range begins: its first record.
    package private(set) var begin: LSN?

    private var running = RunningTransactions()
    /// Databases that a transaction made, whether it committed or not.
    private var attempted: Set<String> = []
    private var openHandles: [Int32: String] = [:]
    private var openCounts: [String: Int] = [:]

    /// Files and changes, each.
    package static let limit = 1 << 20

    package init() {}

    /// The databases that there are where the range ends, as far as the logs say, by uid in the order of names.
    package var databases: [DatabaseFile] {
        files.values.filter { $0.removed == nil }.sorted { ($0.name, $0.fileID) < ($1.name, $1.fileID) }
    }

    /// A transaction made the database and did not commit: where the range ends it is not there.
    package func isUnmade(_ fileID: String) -> Bool { attempted.contains(fileID) && files[fileID] == nil }

    /// The next record of the log.
    package mutating func add(_ record: LogRecord) {
        if begin == nil { begin = record.lsn }
        let transaction = record.transaction
        if record.previous == .zero, transaction != 0 { running.begin(transaction) }
        switch record.event {
        case nil: break
        case .register(let registration): add(registration, record)
        case .file(let operation):
            note(operation)
            if let made = running.add(operation, of: transaction, at: record.lsn), hasRoom(attempted.count) {
                attempted.insert(made)
            }
        case .childCommit(let child): running.merge(child, into: transaction)
        case .commit:
            for change in running.end(transaction) { apply(change) }
        case .abort: _ = running.end(transaction)
        case .recycle(let first, let last): running.forget(first, last)
        case .checkpoint, .prepare: break
        }
    }

    private mutating func note(_ operation: LogFileOperation) {
        let (names, directory): ([String], String) =
            switch operation {
            case .create(let name, let directory), .write(let name, let directory): ([name], directory)
            case .rename(let old, let new, let directory, _, _): ([old, new], directory)
            case .remove(let name, _), .leave(let name, _, _, _): ([name], "")
            }
        for name in names {
            guard let end = name.lastIndex(of: "/"), hasRoom(places.count) else { continue }
            places.insert(Place(directory: directory, path: String(name[..<end])))
        }
    }

    private mutating func add(_ registration: LogRegistration, _ record: LogRecord) {
        let id = registration.fileID
        if registration.endsHandle { setHandle(registration.handle, nil) }
        if registration.showsName {
            setHandle(registration.handle, id)
            // What its transaction has not committed yet may never have been.
            let isPending =
                running.touches(id, in: record.transaction)
                || record.transaction == 0 && running.touches(id)
            if isPending { return }
            see(id, name: registration.name, at: record.lsn)
            if registration.isOpen {
                if record.transaction == 0 {
                    files[id]?.isOpenedUnlogged = true
                } else {
                    files[id]?.isOpenedLogged = true
                }
            }
        } else if registration.isClose, !registration.name.isEmpty, files[id] == nil,
            !running.touches(id)
        {
            // It was opened before the range began.
            see(id, name: registration.name, at: record.lsn)
        }
        noteOpen(id)
    }

    private mutating func setHandle(_ handle: Int32, _ id: String?) {
        if let old = openHandles.removeValue(forKey: handle), let count = openCounts[old] {
            openCounts[old] = count > 1 ? count - 1 : nil
            files[old]?.isOpen = count > 1
        }
        guard let id, hasRoom(openHandles.count) else { return }
        openHandles[handle] = id
        openCounts[id, default: 0] += 1
    }

    private mutating func noteOpen(_ id: String) {
        guard var file = files[id] else { return }
        file.isOpen = file.removed == nil && openCounts[id] != nil
        files[id] = file
    }

    static func isQueueExtent(_ path: String) -> Bool {
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        if case .queueExtent = EnvironmentFileKind.classify(name) { return true }
        return false
    }

    private mutating func see(_ id: String, name: String, at lsn: LSN) {
        guard var file = files[id] else {
            guard hasRoom(files.count) else { return }
            files[id] = DatabaseFile(fileID: id, names: [Name(since: lsn, name: name)], lastSeen: lsn)
            return
        }
        if file.removed != nil { return }
        // A handle that was open during a rename goes on under the old name.
        let isOldName = file.isRenamed && file.names.contains { $0.name == name }
        if file.name != name, !isOldName { file.names.append(Name(since: lsn, name: name)) }
        file.lastSeen = lsn
        files[id] = file
    }

    private mutating func apply(_ change: Change) {
        guard hasRoom(changes.count), hasRoom(files.count) else { return }
        changes.append(change)
        let id = change.fileID
        switch change.kind {
        case .created(let name, _):
            files[id] = DatabaseFile(
                fileID: id, names: [Name(since: change.begin, name: name)], created: change.begin,
                lastSeen: change.lsn)
            files[id]?.directory = change.directory
            files[id]?.isOpenedLogged = true
        case .renamed(let old, let new, _):
            var file =
                files[id]
                ?? DatabaseFile(
                    fileID: id, names: [Name(since: change.begin, name: old)], lastSeen: change.lsn)
            file.names.append(Name(since: change.lsn, name: new))
            file.isRenamed = true
            file.directory = change.directory
            file.lastSeen = change.lsn
            files[id] = file
        case .movedExtent: return
        case .removed(let name):
            var file =
                files[id]
                ?? DatabaseFile(
                    fileID: id, names: [Name(since: change.begin, name: name)], lastSeen: change.lsn)
            file.removed = change.lsn
            file.isOpen = false
            files[id] = file
        }
        noteOpen(id)
    }

    private mutating func hasRoom(_ count: Int) -> Bool {
        if count < Self.limit { return true }
        isTruncated = true
        return false
    }
}

/// What transactions that have not ended did to the names of files.
private struct RunningTransactions: Sendable, Hashable {
    /// Of one transaction, with the nested ones that committed into it.
    struct Transaction: Sendable, Hashable {
        var changes: [LoggedFiles.Change] = []
        /// Names that it created and that have got no file of their own yet, with the record.
        var created: [String: LSN] = [:]
        /// Renames of this very transaction, whose `leave` record comes later, in its parent.
        var beginOfChild: LSN?
    }

    private var transactions: [UInt32: Transaction] = [:]
    /// How many changes of running transactions there are to each uid.
    private var touched: [String: Int] = [:]

    mutating func begin(_ id: UInt32) { drop(id) }

    mutating func end(_ id: UInt32) -> [LoggedFiles.Change] {
        let changes = transactions[id]?.changes ?? []
        drop(id)
        return changes
    }

    mutating func forget(_ first: UInt32, _ last: UInt32) {
        for id in transactions.keys.filter({ $0 >= first && $0 <= last }) { drop(id) }
    }

    private mutating func drop(_ id: UInt32) {
        guard let gone = transactions.removeValue(forKey: id) else { return }
        for change in gone.changes { release(change.fileID) }
    }

    private mutating func release(_ id: String) {
        guard let count = touched[id] else { return }
        touched[id] = count > 1 ? count - 1 : nil
    }

    mutating func merge(_ child: UInt32, into parent: UInt32) {
        guard child != parent, let nested = transactions.removeValue(forKey: child) else { return }
        transactions[parent, default: Transaction()].changes += nested.changes
        transactions[parent]?.created.merge(nested.created) { $1 }
    }

    func touches(_ id: String) -> Bool { touched[id] != nil }

    func touches(_ id: String, in transaction: UInt32) -> Bool {
        touched[id] != nil && transactions[transaction]?.changes.contains { $0.fileID == id } == true
    }

    /// - Returns: the uid of a database that is made.
    mutating func add(_ operation: LogFileOperation, of id: UInt32, at lsn: LSN) -> String? {
        var made: String?
        var transaction = transactions[id] ?? Transaction()
        if transaction.beginOfChild == nil { transaction.beginOfChild = lsn }
        switch operation {
        case .create(let name, _): transaction.created[name] = lsn
        case .write: break
        case .rename(let old, let new, let directory, let fileID, let undone):
            defer { transaction.created[old] = nil }
            // The placeholder takes its place.
            if !undone { break }
            let begin = transaction.beginOfChild ?? lsn
            let kind: LoggedFiles.Change.Kind =
                if transaction.created[old] != nil {
                    .created(name: new, temporary: old)
                } else if LoggedFiles.isQueueExtent(old) {
                    .movedExtent(from: old, to: new)
                } else {
                    .renamed(from: old, to: new, placeholder: "")
                }
            if case .created = kind { made = fileID }
            transaction.changes.append(
                .init(fileID: fileID, kind: kind, directory: directory, begin: begin, lsn: lsn))
            touched[fileID, default: 0] += 1
        case .leave(let name, let fileID, let placeholder, _):
            // Of the rename that a nested transaction has just committed into this one.
            if let last = transaction.changes.lastIndex(where: { $0.fileID == fileID }),
                case .renamed(name, let new, _) = transaction.changes[last].kind
            {
                transaction.changes[last].kind = .renamed(from: name, to: new, placeholder: placeholder)
                transaction.changes[last].lsn = lsn
            }
        case .remove(let name, let fileID):
            if fileID.isEmpty || LoggedFiles.isQueueExtent(name) { break }
            transaction.changes.append(
                .init(fileID: fileID, kind: .removed(name: name), begin: lsn, lsn: lsn))
            touched[fileID, default: 0] += 1
        }
        transactions[id] = transaction
        return made
    }
}
