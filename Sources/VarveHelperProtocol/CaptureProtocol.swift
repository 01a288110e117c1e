import VarveFormat

/// The conversation between `varve` and `varve-capture-bdb`: frames on two pipes, pages in shared memory.
///
/// A frame is `length u32`, then that many bytes: `kind u8` and the fields of the command or event. The two
/// sides are built together, so there is one version and no negotiation; both read as if the other were hostile.
package enum CaptureProtocol {
    /// Goes up with every change; the client refuses a helper that says another one.
    package static let version: UInt16 = 6
    /// Longer frames are refused before anything is allocated for them.
    package static let frameLimit = 1 << 20
    /// What libdb hands to one write callback at most (`MEGABYTE`, mp_backup.c:147).
    package static let slotSize = 1 << 20

    /// The helper's descriptors.
    package enum Descriptor {
        package static let control: Int32 = 0
        package static let events: Int32 = 1
        package static let sharedMemory: Int32 = 3
        package static let password: Int32 = 4
        package static let lock: Int32 = 5
        /// The environment's home, open.
        package static let home: Int32 = 6
        /// The directory that is all there is once `.confine` was carried out.
        package static let root: Int32 = 7
    }

    /// The helper's arguments: which of the descriptors that not every helper has were given to it. A number that is
    /// not named may be somebody else's, left open by whoever started varve.
    package enum Argument {
        package static let password = "password"
        package static let lock = "lock"
        package static let home = "home"
        package static let root = "root"
    }

    /// More names than these are not sent: the logs and the directories are witnesses as well.
    package static let cachedFileLimit = 4096
    /// In bytes, in all.
    package static let cachedFileBytes = 512 << 10

    static func frame(_ body: ByteWriter) -> [UInt8] {
        var frame = ByteWriter(capacity: body.bytes.count + 4)
        frame.integer(UInt32(body.bytes.count))
        frame.raw(body.bytes)
        return frame.bytes
    }
}

/// Cuts a byte stream into frames.
package struct CaptureFrameBuffer {
    private var bytes: [UInt8] = []
    private var start = 0

    package init() {}

    package mutating func append(_ more: UnsafeRawBufferPointer) {
        if start > 0 && start == bytes.count {
            bytes.removeAll(keepingCapacity: true)
            start = 0
        }
        bytes.append(contentsOf: more)
    }

    /// The body of the next whole frame, nil until more bytes come.
    package mutating func next() throws(VarveError) -> [UInt8]? {
        let available = bytes.count - start
        guard available >= 4 else { return nil }
        let length = (0..<4).reduce(0) { $0 | Int(bytes[start + $1]) << ($1 * 8) }
        guard length >= 1 && length <= CaptureProtocol.frameLimit else {
            throw VarveError(.corrupt, "capture frame of \(length) bytes")
        }
        guard available >= 4 + length else { return nil }
        defer {
            start += 4 + length
            if start > 1 << 16 {
                bytes.removeFirst(start)
                start = 0
            }
        }
        return Array(bytes[start + 4..<start + 4 + length])
    }
}

/// How an environment is opened: what `DB_CONFIG` says is libdb's business, this is what only the application's
/// code knows.
package struct CaptureEnvironment: Hashable, Sendable {
    package var home: String
    /// For `add_data_dir`, in order.
    package var dataDirectories: [String]
    /// For `set_lg_dir`.
    package var logDirectory: String?

    package init(home: String, dataDirectories: [String] = [], logDirectory: String? = nil) {
        self.home = home
        self.dataDirectories = dataDirectories
        self.logDirectory = logDirectory
    }
}

extension VarveError.Code {
    /// The kernel does not let the helper make a directory all that it can reach.
    package static let noIsolation = Self(rawValue: "no-isolation")
}

/// What `varve` asks of the helper, one at a time; only `.slotFree` and `.cancel` are sent during another.
package enum CaptureCommand: Hashable, Sendable {
    /// Join a live environment.
    case join(CaptureEnvironment)
    case preflight
    /// Raise the hot-backup counter, stop automatic log removal, read the last checkpoint.
    case begin
    /// Copy one database; with `resume`, go on after `CaptureEvent.captured(.interrupted)`.
    case capture(file: String, resume: Bool)
    case slotFree(UInt32)
    /// End the running `capture` soon.
    case cancel
    /// Undo `begin`.
    case end
    /// Copy one database to nowhere: frees its page writers after a helper was killed in it.
    case clear(file: String)
    /// Undo what the journal of a dead helper says.
    case repair
    case logStatus
    /// The names of the files that have pages in the cache.
    case cachedFiles
    /// Write every page that has changed, as a checkpoint does.
    case sync
    /// Catastrophic recovery, in private regions.
    case recover(CaptureEnvironment)
    case verify(CaptureEnvironment, files: [String])
    /// Make the directory at `Descriptor.root` all that can be reached, and become the owner of `home` in it.
    case confine(home: String)
    /// Who has the lock on this database that a copy would wait for.
    case holder(file: String, fileID: [UInt8])
    case quit
}

extension CaptureCommand {
    /// The whole frame.
    package var encoded: [UInt8] {
        var body = ByteWriter()
        switch self {
        case .join(let environment):
            body.integer(UInt8(1))
            body.environment(environment)
        case .preflight: body.integer(UInt8(2))
        case .begin: body.integer(UInt8(3))
        case .capture(let file, let resume):
            body.integer(UInt8(4))
            body.text(file)
            body.flag(resume)
        case .slotFree(let slot):
            body.integer(UInt8(5))
            body.integer(slot)
        case .cancel: body.integer(UInt8(6))
        case .end: body.integer(UInt8(7))
        case .clear(let file):
            body.integer(UInt8(8))
            body.text(file)
        case .repair: body.integer(UInt8(9))
        case .logStatus: body.integer(UInt8(10))
        case .recover(let environment):
            body.integer(UInt8(11))
            body.environment(environment)
        case .verify(let environment, let files):
            body.integer(UInt8(12))
            body.environment(environment)
            body.texts(files)
        case .quit: body.integer(UInt8(13))
        case .confine(let home):
            body.integer(UInt8(14))
            body.text(home)
        case .holder(let file, let fileID):
            body.integer(UInt8(15))
            body.text(file)
            body.integer(UInt32(fileID.count))
            body.raw(fileID)
        case .cachedFiles: body.integer(UInt8(30))
        case .sync: body.integer(UInt8(31))
        }
        return CaptureProtocol.frame(body)
    }

    /// From a frame's body.
    package init(_ body: UnsafeRawBufferPointer) throws(VarveError) {
        var reader = ByteReader(body, what: "capture command")
        let kind: UInt8 = try reader.integer()
        switch kind {
        case 1: self = .join(try reader.environment())
        case 2: self = .preflight
        case 3: self = .begin
        case 4: self = .capture(file: try reader.text(), resume: try reader.flag())
        case 5: self = .slotFree(try reader.integer())
        case 6: self = .cancel
        case 7: self = .end
        case 8: self = .clear(file: try reader.text())
        case 9: self = .repair
        case 10: self = .logStatus
        case 11: self = .recover(try reader.environment())
        case 12: self = .verify(try reader.environment(), files: try reader.texts())
        case 13: self = .quit
        case 14: self = .confine(home: try reader.text())
        case 15:
            let file = try reader.text()
            let count: UInt32 = try reader.integer()
            self = .holder(file: file, fileID: Array(try reader.take(Int(count))))
        case 30: self = .cachedFiles
        case 31: self = .sync
        default: throw VarveError(.corrupt, "capture command of unknown kind \(kind)")
        }
        try reader.expectEnd()
    }
}

extension ByteWriter {
    mutating func flag(_ value: Bool) { integer(UInt8(value ? 1 : 0)) }

    mutating func text(_ text: String) {
        integer(UInt32(text.utf8.count))
        raw(text.utf8)
    }

    mutating func texts(_ texts: [String]) {
        integer(UInt32(texts.count))
        for each in texts { text(each) }
    }

    mutating func optional<T>(_ value: T?, _ write: (inout ByteWriter, T) -> Void) {
        flag(value != nil)
        if let value { write(&self, value) }
    }

    mutating func lsn(_ lsn: LSN) {
        integer(lsn.file)
        integer(lsn.offset)
    }

    mutating func environment(_ environment: CaptureEnvironment) {
        text(environment.home)
        texts(environment.dataDirectories)
        optional(environment.logDirectory) { $0.text($1) }
    }
}

extension ByteReader {
    mutating func flag() throws(VarveError) -> Bool {
        switch try integer(UInt8.self) {
        case 0: return false
        case 1: return true
        case let value: throw VarveError(.corrupt, "\(what) has the flag \(value), neither 0 nor 1")
        }
    }

    /// UTF-8 without NUL: every text here ends up as a C string or on a terminal.
    mutating func text() throws(VarveError) -> String {
        let count: UInt32 = try integer()
        let bytes = try take(Int(count))
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw VarveError(.corrupt, "\(what) has a text that is not UTF-8")
        }
        return text
    }

    mutating func texts() throws(VarveError) -> [String] {
        let count: UInt32 = try integer()
        // Each takes four bytes at least, so a hostile count can't make us reserve more than the frame holds.
        guard Int(count) <= remaining / 4 else {
            throw VarveError(.corrupt, "\(what) claims \(count) texts in \(remaining) bytes")
        }
        return try (0..<count).map { (_) throws(VarveError) in try text() }
    }

    mutating func optional<T>(_ read: (inout ByteReader) throws(VarveError) -> T) throws(VarveError) -> T? {
        try flag() ? try read(&self) : nil
    }

    mutating func lsn() throws(VarveError) -> LSN { LSN(file: try integer(), offset: try integer()) }

    mutating func environment() throws(VarveError) -> CaptureEnvironment {
        CaptureEnvironment(
            home: try text(), dataDirectories: try texts(),
            logDirectory: try optional { (reader) throws(VarveError) in try reader.text() })
    }
}
