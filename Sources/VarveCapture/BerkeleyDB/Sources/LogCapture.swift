import Glibc
import VarveDatabase
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// The logs of a capture, after all of its databases: delivered ascending, and proved to suffice.
struct LogCapture {
    /// What the databases ask of the logs.
    struct Need {
        /// The first log that recovery needs.
        var first: UInt32
        /// The last checkpoint before the first page, if it is known.
        var checkpoint: CaptureCheckpoint?
        /// Of all pages, with the file that it was found in.
        var largestPageLSN: LSN
        var largestPageFile: String?
        /// Of a live environment: its id, which must stay the same. Nil for one that nobody has open.
        var environmentID: UInt32?
        var isLive: Bool { environmentID != nil }
        /// How far the log is, as libdb says; nil where nobody can be asked.
        var status: (() throws(VarveError) -> CaptureLogStatus)?
    }

    let keeper: LogKeeper
    /// The log directory beneath a restored home.
    let restored: String
    let sink: any CaptureSink
    /// Told the last log's number and the offset, where nobody can say what it is that it ends in and that is no record.
    var noteTorn: (UInt32, UInt64) -> Void = { _, _ in }
    /// Told the last log's number and the offset, where libdb has not written all of the record there.
    var noteUnfinished: (UInt32, UInt64) -> Void = { _, _ in }

    /// The pages were on disk before, and libdb flushes a log record before the page that it describes; only
    /// a network file system could show them the other way round for a moment.
    private static let patience: UInt64 = 5_000_000_000
    private static let pause: UInt32 = 50_000

    /// Delivers every held log file up to the end of the log as it is now.
    ///
    /// - Throws: `.missingLog` or `.refused` if what was delivered does not suffice for recovery. The caller
    ///   must
    ///   not commit then.
    ///
    /// - Returns: what recovery needs, and what the logs say of files; nil for encrypted logs, which don't show it.
    func capture(_ need: Need) throws(VarveError) -> (Manifest.Recovery, LoggedFiles?) {
        try awaitCoverage(need)
        // The time first, then the list: what is durable by now may lie in a log that was begun since the last look.
        let recoverableTo = Clock.now()
        let endOnDisk = try need.status?().diskLSN
        try keeper.poll()
        let numbers = try wholeFiles()
        try requireContiguous(numbers, need)
        var summaries: [LogFileSummary] = []
        var logged = LoggedFiles()
        for number in numbers { summaries.append(try deliver(number, &logged)) }
        let chain = try LogChain.check(summaries)
        try Self.prove(chain, need)
        if let last = summaries.last, case .torn(let offset) = last.end {
            if need.isLive { try judgeEnd(last, need) } else { noteTorn(last.number, offset) }
        }
        if let endOnDisk { try Self.prove(chain, reaches: endOnDisk, keeper.logDirectory) }
        let recovery = Manifest.Recovery(
            firstLog: need.first, lastLog: chain.lastNumber, checkpoint: need.checkpoint?.lsn,
            checkpointLSN: need.checkpoint?.checkpointLSN,
            largestPageLSN: need.largestPageLSN == .zero ? nil : need.largestPageLSN, endOfLog: chain.end,
            recoverableTo: recoverableTo)
        return (recovery, chain.isEncrypted ? nil : logged)
    }

    /// Waits until the log on disk reaches the largest page LSN.
    private func awaitCoverage(_ need: Need) throws(VarveError) {
        let deadline = Clock.monotonic() + (need.isLive ? Self.patience : 0)
        while true {
            try keeper.poll()
            try keeper.checkHealth()
            if need.largestPageLSN == .zero { return }
            if let last = keeper.held.last {
                if last > need.largestPageLSN.file { return }
                if last == need.largestPageLSN.file,
                    let summary = try keeper.withFile(
                        last, { (file) throws(VarveError) in try LogSurvey.summarize(last, file) }),
                    summary.validLength > UInt64(need.largestPageLSN.offset)
                {
                    return
                }
            }
            guard Clock.monotonic() < deadline else { throw Self.beyondTheEnd(need) }
            usleep(Self.pause)
        }
    }

    private static func beyondTheEnd(_ need: Need) -> VarveError {
        VarveError(
            .refused, "a page has the LSN \(need.largestPageLSN), which lies past the end of the log",
            location: need.largestPageFile,
            hint:
                "either log files are missing, or the file comes from another environment. Then reset its LSNs: close the"
                + " environment, move the file into an empty directory, run 'db5.3_load -r lsn FILE' there, and move"
                + " it back")
    }

    /// The held numbers without a last file that was created and not yet written to.
    private func wholeFiles() throws(VarveError) -> [UInt32] {
        var numbers = keeper.held
        if let last = numbers.last {
            let isBegun = try keeper.withFile(last) { (file) throws(VarveError) in
                let head = try file.readStart(LogFileHeader.maximumByteCount)
                return try head.withBytes { (bytes) throws(VarveError) in try LogFileHeader.parse(bytes) }
                    != nil
            }
            guard let isBegun else { throw noLongerThere(last) }
            if !isBegun { numbers.removeLast() }
        }
        return numbers
    }

    private func requireContiguous(_ numbers: [UInt32], _ need: Need) throws(VarveError) {
        guard let first = numbers.first, let last = numbers.last, first <= need.first else {
            throw VarveError(
                .missingLog, "log file \(need.first), which recovery needs first, is not there",
                location: keeper.logDirectory,
                hint: "it was removed before the backup could keep it: back up again")
        }
        if numbers.count != Int(last - first) + 1 {
            let present = Set(numbers)
            let missing = (first...last).first { !present.contains($0) } ?? first
            throw VarveError(
                .missingLog, "there is a gap in the logs: \(EnvironmentFileKind.logName(missing)) is missing",
                location: keeper.logDirectory,
                hint: "it was removed before the backup could keep it: back up again")
        }
    }

    /// Everything that can be proved from the logs alone: `LogChain.check` has proved that they are whole.
    static func prove(_ chain: LogChain, _ need: Need) throws(VarveError) {
        guard chain.firstNumber <= need.first && need.first <= chain.lastNumber else {
            throw VarveError(
                .missingLog,
                "recovery begins in log file \(need.first), but files \(chain.firstNumber) to"
                    + " \(chain.lastNumber) were stored", hint: "back up again")
        }
        // Pages that were last written before the first stored log ask nothing of it.
        guard need.largestPageLSN.file < chain.firstNumber || chain.covers(need.largestPageLSN) else {
            throw beyondTheEnd(need)
        }
        guard let checkpoint = need.checkpoint else { return }
        guard chain.covers(checkpoint.lsn) && chain.covers(checkpoint.checkpointLSN) else {
            throw VarveError(
                .missingLog, "the last checkpoint \(checkpoint.lsn) is not in the stored logs",
                hint: "back up again")
        }
        guard let id = need.environmentID else { return }
        // The checkpoint before the backup may be from before the environment was last created.
        let later = chain.files.flatMap(\.checkpoints).filter { $0.lsn > checkpoint.lsn }
        if let other = later.first(where: { $0.environmentID != id }) {
            throw VarveError(
                .refused,
                "the environment was created anew while it was backed up: checkpoint \(other.lsn) has another"
                    + " environment id", hint: "back up again")
        }
    }

    /// A damaged record in the last file looks like the log's end: what libdb has on disk must all be there, or
    /// transactions that were durable would be missing without a word.
    ///
    /// - Parameter end: the first byte that is not on disk. Offset 0: of a file that may not be there yet.
    static func prove(_ chain: LogChain, reaches end: LSN, _ directory: String) throws(VarveError) {
        if chain.end >= end { return }
        if end.offset == 0, chain.lastNumber == end.file - 1, !chain.isTorn { return }
        throw VarveError(
            .refused, "the log can be read up to \(chain.end) only, but libdb has written it up to \(end)",
            location: Path.join(directory, EnvironmentFileKind.logName(chain.lastNumber)),
            hint: "a record is damaged: take a checkpoint and back up again, and look for the cause")
    }

    private func deliver(_ number: UInt32, _ logged: inout LoggedFiles) throws(VarveError) -> LogFileSummary {
        let name = EnvironmentFileKind.logName(number)
        let summary = try keeper.withFile(number) { (file) throws(VarveError) in
            let status = try file.status()
            try sink.begin(
                SourceFile(
                    path: restored == "." ? name : restored + "/" + name, kind: .log,
                    attributes: status.attributes,
                    unit: 1, expectedSize: status.size))
            let copy = LogCopy(sink: sink)
            do throws(VarveError) {
                let summary = try LogWalker.walk(
                    number: number, size: status.size,
                    read: { (offset, buffer) throws(VarveError) in
                        let count = try file.read(into: buffer, at: offset)
                        copy.keep(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: offset)
                        return count
                    },
                    visit: { (record) throws(VarveError) in
                        logged.add(record)
                        try copy.deliver(upTo: UInt64(record.lsn.offset) + UInt64(record.length))
                    })
                try copy.finish(upTo: summary.validLength, file)
                try sink.end(SourceFileFacts(size: status.size, log: Self.facts(summary)))
                return summary
            } catch var error {
                error.location = error.location ?? Path.join(keeper.logDirectory, name)
                throw error
            }
        }
        guard let summary else { throw noLongerThere(number) }
        return summary
    }

    /// Bytes behind the last record that are no record are one that is being written: then it is whole a moment later; or
    /// one of which libdb has written what its buffer held, and writes the rest when somebody flushes the log, which at
    /// rest may never be. That one hides nothing, and lies beyond what libdb calls durable and before its end of the log.
    /// All else that stays as it is is damaged, and hides what follows.
    private func judgeEnd(_ delivered: LogFileSummary, _ need: Need) throws(VarveError) {
        guard case .torn(let offset) = delivered.end else { return }
        let deadline = Clock.monotonic() + Self.patience
        var last = delivered
        while Clock.monotonic() < deadline {
            // Asked before the file is read again: what is durable by now must be whole in it.
            let status = try need.status?()
            let now = try keeper.withFile(delivered.number) { (file) throws(VarveError) in
                try LogSurvey.summarize(delivered.number, file)
            }
            guard let now else { throw noLongerThere(delivered.number) }
            if now.validLength > delivered.validLength { return }
            guard case .torn = now.end else { return }
            last = now
            if let status, Self.isUnfinished(now, status) { return noteUnfinished(delivered.number, offset) }
            usleep(Self.pause)
        }
        // Where libdb can't be asked.
        if need.status == nil, last.unfinishedEnd != nil { return noteTorn(delivered.number, offset) }
        throw VarveError(
            .refused, "log file \(delivered.number) is damaged at offset \(offset)",
            location: Path.join(keeper.logDirectory, EnvironmentFileKind.logName(delivered.number)),
            hint: "recovery would end there: take a checkpoint, back up again, and look for the cause")
    }

    static func isUnfinished(_ summary: LogFileSummary, _ status: CaptureLogStatus) -> Bool {
        guard let end = summary.unfinishedEnd, let limit = UInt32(exactly: end) else { return false }
        return status.diskLSN <= LSN(file: summary.number, offset: UInt32(summary.validLength))
            && LSN(file: summary.number, offset: limit) <= status.endOfLog
    }

    private func noLongerThere(_ number: UInt32) -> VarveError {
        VarveError(
            .missingLog, "log file \(number) is no longer there", location: keeper.logDirectory,
            hint: "back up again")
    }

    private static func facts(_ summary: LogFileSummary) -> Manifest.Log {
        let header = LSN(file: summary.number, offset: 0)
        return Manifest.Log(
            number: summary.number, validLength: summary.validLength, firstLSN: summary.firstLSN ?? header,
            lastLSN: summary.lastLSN ?? header,
            // A name that climbs out of the home leads from a copy beside it to the live files as well.
            absoluteNames: Array(
                (summary.absoluteNames.names + summary.climbingNames.names).prefix(absoluteNameLimit)))
    }

    private static let absoluteNameLimit = 16
}

/// Copies a log to the sink while it is walked, so that the very bytes that were checked are stored, and
/// nothing behind the last whole record.
private final class LogCopy {
    private let sink: any CaptureSink
    /// Bytes that were read and are not delivered yet, from `base` on.
    private var pending: [UInt8] = []
    private var base: UInt64 = 0

    private static let runLength = 1 << 20
    /// More is not kept: what a larger record needs is read a second time. A zero tail would fill it
    /// otherwise.
    private static let limit = 4 << 20

    init(sink: any CaptureSink) { self.sink = sink }

    func keep(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        guard offset == base + UInt64(pending.count), pending.count + bytes.count <= Self.limit else {
            return
        }
        pending.append(contentsOf: bytes)
    }

    func deliver(upTo end: UInt64) throws(VarveError) {
        if end >= base + UInt64(Self.runLength) { try flush(upTo: end) }
    }

    private func flush(upTo end: UInt64) throws(VarveError) {
        let count = Int(min(end - base, UInt64(pending.count)))
        guard count > 0 else { return }
        try pending.withBytes { (bytes) throws(VarveError) in
            try sink.write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: base)
        }
        pending.removeFirst(count)
        base += UInt64(count)
    }

    func finish(upTo end: UInt64, _ file: borrowing File) throws(VarveError) {
        try flush(upTo: end)
        pending = []
        while base < end {
            let length = Int(min(end - base, UInt64(Self.runLength)))
            let bytes = try [UInt8](unsafeUninitializedCapacity: length) {
                (buffer, done) throws(VarveError) in
                done = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: base)
            }
            guard bytes.count == length else {
                throw VarveError(
                    .corrupt, "the log file became shorter while it was read", location: file.path)
            }
            try bytes.withBytes { (bytes) throws(VarveError) in try sink.write(bytes, at: base) }
            base += UInt64(length)
        }
    }
}
