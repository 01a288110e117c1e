import VarveFormat

/// One record of a log file whose place in the chain was checked, and whose checksum too unless it is
/// encrypted.
public struct LogRecord: Sendable, Hashable {
    public var lsn: LSN
    /// Of header and body.
    public var length: UInt32
    /// The record's type, `DB___*` of `dbinc_auto/`; nil if it is encrypted or has no room for one.
    public var type: UInt32?
    /// 0 outside a transaction.
    public var transaction: UInt32
    /// What it says, where it is of a type that matters here.
    public var event: LogEvent?
}

/// A checkpoint (`__txn_ckp`, type 11, `txn.src`).
public struct LogCheckpoint: Sendable, Hashable {
    /// Of the checkpoint record itself.
    public var lsn: LSN
    /// Recovery that starts from this checkpoint needs the log from here on: its file is the first needed
    /// one.
    public var checkpointLSN: LSN
    /// The checkpoint before, `.zero` for none.
    public var previous: LSN
    /// Seconds since 1970; a signed 32-bit number in the log.
    public var time: Int32
    /// Changes whenever the environment is recovered or created anew.
    public var environmentID: UInt32
}

/// What backup and restore have to know of the log's records.
public enum LogEvent: Sendable, Hashable {
    case checkpoint(LogCheckpoint)
    /// A transaction committed (`__txn_regop`, type 10, opcode 1).
    case commit(time: Int32, environmentID: UInt32)
    /// A transaction aborted (opcode 3).
    case abort(time: Int32, environmentID: UInt32)
    /// A database file was opened, closed or still open at a checkpoint (`__dbreg_register`, type 2). The
    /// name is relative to a data directory or the home; empty for a database in memory.
    case register(operation: UInt32, name: String, fileID: String)
    /// A file was made, removed, written or renamed (`__fop_*`, types 143 to 146 and 150), or a removal was
    /// finished (`__fop_file_remove`, 141). `directory` is the data directory it was made in, if it says.
    case file(FileOperation, names: [String], directory: String)

    public enum FileOperation: String, Sendable, Hashable {
        case create, remove, write, rename, finishedRemoval
    }
}

extension LogEvent {
    /// Parses the body of a record of type `type`, nil for a type without an event.
    ///
    /// `body` may be only the beginning of a large record; what is read here lies in its first kilobytes.
    /// Throws `.corrupt` for a body that is too short for its type.
    init?(type: UInt32, lsn: LSN, body: UnsafeRawBufferPointer) throws {
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
                    lsn: lsn, checkpointLSN: try reader.lsn(), previous: try reader.lsn(),
                    time: try reader.integer(), environmentID: try reader.integer()))
        case 141:
            try reader.skipField()
            try reader.skipField()
            self = .file(.finishedRemoval, names: [try reader.name()], directory: "")
        case 143:
            self = .file(.create, names: [try reader.name()], directory: try reader.name())
        case 144:
            self = .file(.remove, names: [try reader.name()], directory: "")
        case 145:
            self = .file(.write, names: [try reader.name()], directory: try reader.name())
        default:
            let names = [try reader.name(), try reader.name()]
            self = .file(.rename, names: names, directory: try reader.name())
        }
    }

    private static let types: Set<UInt32> = [2, 10, 11, 141, 143, 144, 145, 146, 150]

    private static func registration(_ reader: inout ByteReader) throws -> LogEvent {
        let opcode = try reader.integer(UInt32.self)
        let name = try reader.name()
        let uid = try reader.take(try reader.fieldLength())
        // The upper bits say things of the database (`DBREG_OP_MASK`, `log.h:77`).
        return .register(operation: opcode & 0xf, name: name, fileID: Hex.encode(uid))
    }

    /// The names of files that recovery may open because of this event.
    var names: [String] {
        switch self {
        case .checkpoint, .commit, .abort: []
        case .register(_, let name, _): [name]
        case .file(_, let names, let directory): names + [directory]
        }
    }
}

extension LogRecord {
    /// Type, transaction and the transaction's previous LSN begin every body.
    static let commonSize = 16
}

extension ByteReader {
    fileprivate mutating func lsn() throws -> LSN {
        LSN(file: try integer(), offset: try integer())
    }

    /// A field of variable size is its length and its bytes, unpadded (`__log_put_record_int`, `log_put.c`).
    fileprivate mutating func fieldLength() throws -> Int { Int(try integer(UInt32.self)) }

    fileprivate mutating func skipField() throws { try skip(try fieldLength()) }

    /// A file name, logged with its terminating NUL. Bytes that are not UTF-8 are replaced.
    fileprivate mutating func name() throws -> String {
        String(decoding: try take(try fieldLength()).prefix { $0 != 0 }, as: UTF8.self)
    }
}
