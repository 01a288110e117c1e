import VarveFormat

/// What one log file holds, as `LogWalker` found it.
package struct LogFileSummary: Sendable, Hashable {
    package enum End: Sendable, Hashable {
        /// The last record ends where the file ends.
        case clean
        /// Only zeros follow: the file is preallocated.
        case zeroTail
        /// Something that is no valid record follows at this offset. In the last file of a log it may be a
        /// write that did not finish, anywhere else it is damage.
        case torn(at: UInt64)
    }

    package var number: UInt32
    /// Of the file, with its tail.
    package var size: UInt64
    /// Nil if the file is preallocated and nothing has been written to it.
    package var header: LogFileHeader?
    /// Where the valid records end.
    package var validLength: UInt64 = 0
    package var end = End.clean
    /// Of a torn end: where the record that begins there would end, if it hides nothing: only zeros follow. So libdb
    /// leaves a record of which it has written what its buffer held, until the next flush.
    package var unfinishedEnd: UInt64?
    /// Without the header record.
    package var recordCount: UInt64 = 0
    /// Of the first record after the header, nil for none.
    package var firstLSN: LSN?
    /// Of the last valid record, which may be the header's (offset 0); nil if there is no header.
    package var lastLSN: LSN?

    // The following are empty for an encrypted log: it takes the key to know.

    package var commitCount: UInt64 = 0
    /// Seconds since 1970.
    package var lastCommitTime: Int32?
    package var checkpointCount: UInt64 = 0
    /// The last ones, oldest first, at most `checkpointLimit`.
    package var checkpoints: [LogCheckpoint] = []
    /// Every environment id in commits and checkpoints, in order of appearance, at most `environmentIDLimit`.
    package var environmentIDs: [UInt32] = []
    /// Absolute names of files and directories: recovery would work on these very files.
    package var absoluteNames = NameList()
    /// Relative names that climb above the directory they start in (`../x`).
    package var climbingNames = NameList()

    package static let checkpointLimit = 100
    package static let environmentIDLimit = 100

    package init(number: UInt32, size: UInt64) {
        self.number = number
        self.size = size
    }

    package var lastCheckpoint: LogCheckpoint? { checkpoints.last }
    package var isEncrypted: Bool { header?.isEncrypted ?? false }
    /// The offset of the last record in the file before, as this file's header says.
    package var previousOffset: UInt32? { header?.previousOffset }

    mutating func add(_ event: LogEvent) {
        switch event {
        case .checkpoint(let checkpoint):
            checkpointCount &+= 1
            if checkpoints.count == Self.checkpointLimit { checkpoints.removeFirst() }
            checkpoints.append(checkpoint)
            add(environmentID: checkpoint.environmentID)
        case .commit(let time, let environmentID):
            commitCount &+= 1
            lastCommitTime = time
            add(environmentID: environmentID)
        case .abort, .register, .file, .childCommit, .prepare, .recycle: break
        }
        for name in event.names {
            if PathShape.isAbsolute(name) { absoluteNames.add(name) }
            if PathShape.climbs(name) { climbingNames.add(name) }
        }
    }

    private mutating func add(environmentID id: UInt32) {
        // The last one first: thousands of commits have the same.
        if environmentIDs.last == id || environmentIDs.contains(id) { return }
        if environmentIDs.count < Self.environmentIDLimit { environmentIDs.append(id) }
    }
}

/// Different names in order of appearance: all are counted until the list is full, then it says so.
package struct NameList: Sendable, Hashable {
    package static let limit = 100
    package private(set) var names: [String] = []
    /// There are more than `limit` different names.
    package private(set) var isTruncated = false

    package init() {}
    package var isEmpty: Bool { names.isEmpty }

    mutating func add(_ name: String) {
        if names.contains(name) { return }
        if names.count < Self.limit { names.append(name) } else { isTruncated = true }
    }
}

/// What a path's text tells without a file system.
enum PathShape {
    static func isAbsolute(_ path: String) -> Bool { path.utf8.first == UInt8(ascii: "/") }

    /// Whether a relative path leaves its starting directory at any point.
    static func climbs(_ path: String) -> Bool {
        if isAbsolute(path) { return false }
        var depth = 0
        for component in path.utf8.split(separator: UInt8(ascii: "/")) {
            if component.elementsEqual("..".utf8) {
                depth -= 1
                if depth < 0 { return true }
            } else if !component.elementsEqual(".".utf8) {
                depth += 1
            }
        }
        return false
    }
}
