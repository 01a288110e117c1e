import VarveFormat

/// One record of a log file whose place in the chain was checked, and whose checksum too unless it is
/// encrypted.
package struct LogRecord: Sendable, Hashable {
    package var lsn: LSN
    /// Of header and body.
    package var length: UInt32
    /// The record's type, `DB___*` of `dbinc_auto/`; nil if it is encrypted or has no room for one.
    package var type: UInt32?
    /// 0 outside a transaction.
    package var transaction: UInt32
    /// The record before of the same transaction, `.zero` for its first.
    package var previous: LSN = .zero
    /// What it says, where it is of a type that matters here.
    package var event: LogEvent?
}

/// A checkpoint (`__txn_ckp`, type 11, `txn.src`).
package struct LogCheckpoint: Sendable, Hashable {
    /// Of the checkpoint record itself.
    package var lsn: LSN
    /// Recovery that starts from this checkpoint needs the log from here on: its file is the first needed
    /// one.
    package var checkpointLSN: LSN
    /// The checkpoint before, `.zero` for none.
    package var previous: LSN
    /// Seconds since 1970; a signed 32-bit number in the log.
    package var time: Int32
    /// Changes whenever the environment is recovered or created anew.
    package var environmentID: UInt32
}

/// What backup and restore have to know of the log's records.
package enum LogEvent: Sendable, Hashable {
    case checkpoint(LogCheckpoint)
    /// A transaction committed (`__txn_regop`, type 10, opcode 1).
    case commit(time: Int32, environmentID: UInt32)
    /// A transaction aborted (opcode 3).
    case abort(time: Int32, environmentID: UInt32)
    /// A nested transaction committed into the one that the record is of (`__txn_child`, type 12).
    case childCommit(transaction: UInt32)
    /// The transaction is prepared and waits for a commit or an abort (`__txn_prepare`, type 13).
    case prepare
    /// Transaction ids are given out anew (`__txn_recycle`, type 14): no transaction with one of these is running.
    case recycle(first: UInt32, last: UInt32)
    /// A database file was opened, closed or still open at a checkpoint (`__dbreg_register`, type 2).
    case register(LogRegistration)
    /// A file was made, removed, written or renamed (`__fop_*`, types 141, 143 to 146 and 150).
    case file(LogFileOperation)
}

/// What a `__dbreg_register` record says.
package struct LogRegistration: Sendable, Hashable {
    /// `DBREG_*` of `log.h`; others are kept as they are.
    package enum Operation: UInt32, Sendable, Hashable {
        case checkpoint = 1
        case close, open, preopen, closeAfterRecovery, reopenInMemory
        case checkpointExclusive, openExclusive, reopenInMemoryExclusive
    }

    /// Nil for a number that libdb 5.3 does not write.
    package var operation: Operation?
    /// As the application gave it: absolute, or relative to a data directory or the home. Empty for a database in
    /// memory or a temporary one.
    package var name: String
    /// The file's uid in hexadecimal, 40 digits.
    package var fileID: String
    /// The id under which the records that follow mean this database.
    package var handle: Int32
    /// The page with the database's meta data: not 0 for one of several in a file.
    package var metaPage: UInt32
    /// The nested transaction that made the file, 0 for a file that was there.
    package var creator: UInt32

    package init(
        operation: Operation?, name: String, fileID: String, handle: Int32 = 0, metaPage: UInt32 = 0,
        creator: UInt32 = 0
    ) {
        (self.operation, self.name, self.fileID) = (operation, name, fileID)
        (self.handle, self.metaPage, self.creator) = (handle, metaPage, creator)
    }

    /// The file has this name when the record is written, because it is opened or open.
    package var showsName: Bool {
        switch operation {
        case .checkpoint, .open, .checkpointExclusive, .openExclusive: !name.isEmpty
        default: false
        }
    }

    package var isOpen: Bool { operation == .open || operation == .openExclusive }

    /// By the application; recovery closes what is not even there.
    package var isClose: Bool { operation == .close }

    package var endsHandle: Bool { operation == .close || operation == .closeAfterRecovery }
}

/// What a `__fop_*` record says. A name is relative to its directory; the directory is that of the data directory
/// the file was made in, as the application gave it, and is empty for the home or where the record has none.
package enum LogFileOperation: Sendable, Hashable {
    case create(name: String, directory: String)
    /// When the transaction commits, the file is gone.
    case remove(name: String, fileID: String)
    /// Bytes of a page were written past the cache.
    case write(name: String, directory: String)
    /// `undone`: recovery takes it back when the transaction did not commit (`__fop_rename`, not `_noundo`).
    case rename(old: String, new: String, directory: String, fileID: String, undone: Bool)
    /// The file `fileID` has left `name`, where only the file `placeholder` was left: both go when the transaction
    /// commits (`__fop_file_remove`). `child` is the nested transaction that renamed it.
    case leave(name: String, fileID: String, placeholder: String, child: UInt32)

    var names: [String] {
        switch self {
        case .create(let name, let directory), .write(let name, let directory): [name, directory]
        case .remove(let name, _), .leave(let name, _, _, _): [name]
        case .rename(let old, let new, let directory, _, _): [old, new, directory]
        }
    }
}

extension LogEvent {
    /// Parses the body of a record of type `type`, nil for a type without an event.
    ///
    /// `body` may be only the beginning of a large record; what is read here lies in its first kilobytes.
    /// Throws `.corrupt` for a body that is too short for its type.
    init?(type: UInt32, lsn: LSN, body: UnsafeRawBufferPointer) throws(VarveError) {
        guard Self.types.contains(type) else { return nil }
        var reader = ByteReader(body, what: "the log record at \(lsn)")
        try reader.skip(LogRecord.commonSize)
        switch type {
        case 2: self = try Self.registration(&reader)
        case 10:
            let opcode = try reader.integer(UInt32.self)
            let time = try reader.integer(Int32.self)
            let environment = try reader.integer(UInt32.self)
            switch opcode {
            case 1: self = .commit(time: time, environmentID: environment)
            case 3: self = .abort(time: time, environmentID: environment)
            default: return nil
            }
        case 11:
            self = .checkpoint(
                LogCheckpoint(
                    lsn: lsn, checkpointLSN: try reader.lsnField(), previous: try reader.lsnField(),
                    time: try reader.integer(), environmentID: try reader.integer()))
        case 12: self = .childCommit(transaction: try reader.integer())
        case 13: self = .prepare
        case 14: self = .recycle(first: try reader.integer(), last: try reader.integer())
        default: self = .file(try LogFileOperation(type: type, &reader))
        }
    }

    private static let types: Set<UInt32> = [2, 10, 11, 12, 13, 14, 141, 143, 144, 145, 146, 150]

    private static func registration(_ reader: inout ByteReader) throws(VarveError) -> LogEvent {
        let opcode = try reader.integer(UInt32.self)
        let name = try reader.name()
        let uid = try reader.fileID()
        let handle = try reader.integer(Int32.self)
        try reader.skip(4)
        // The upper bits say things of the database (`DBREG_OP_MASK`, `log.h:77`).
        return .register(
            LogRegistration(
                operation: .init(rawValue: opcode & 0xf), name: name, fileID: uid, handle: handle,
                metaPage: try reader.integer(), creator: try reader.integer()))
    }

    /// The names of files that recovery may open because of this event.
    var names: [String] {
        switch self {
        case .register(let registration): [registration.name]
        case .file(let operation): operation.names
        default: []
        }
    }
}

extension LogFileOperation {
    /// Layouts of libdb 4.8 and later (`fileops.src`), which are those of log version 19.
    fileprivate init(type: UInt32, _ reader: inout ByteReader) throws(VarveError) {
        switch type {
        case 141:
            let real = try reader.fileID()
            let placeholder = try reader.fileID()
            let name = try reader.name()
            try reader.skip(4)
            self = .leave(name: name, fileID: real, placeholder: placeholder, child: try reader.integer())
        case 143: self = .create(name: try reader.name(), directory: try reader.name())
        case 144: self = .remove(name: try reader.name(), fileID: try reader.fileID())
        case 145: self = .write(name: try reader.name(), directory: try reader.name())
        default:
            let old = try reader.name()
            let new = try reader.name()
            let directory = try reader.name()
            self = .rename(
                old: old, new: new, directory: directory, fileID: try reader.fileID(), undone: type == 146)
        }
    }
}

extension LogRecord {
    /// Type, transaction and the transaction's previous LSN begin every body.
    static let commonSize = 16
}

extension ByteReader {
    fileprivate mutating func lsnField() throws(VarveError) -> LSN {
        LSN(file: try integer(), offset: try integer())
    }

    /// A field of variable size is its length and its bytes, unpadded (`__log_put_record_int`, `log_put.c`).
    fileprivate mutating func fieldLength() throws(VarveError) -> Int { Int(try integer(UInt32.self)) }

    /// A uid, 20 bytes in hexadecimal; empty where the record has none.
    fileprivate mutating func fileID() throws(VarveError) -> String {
        Hex.encode(UnsafeRawBufferPointer(rebasing: try take(try fieldLength()).prefix(20)))
    }

    /// A file name, logged with its terminating NUL. Bytes that are not UTF-8 are replaced.
    fileprivate mutating func name() throws(VarveError) -> String {
        String(decoding: try take(try fieldLength()).prefix { $0 != 0 }, as: UTF8.self)
    }
}
