import VarveFormat

/// Log files that were proved to follow one another without a gap.
package struct LogChain: Sendable, Hashable {
    /// Ascending and contiguous, never empty.
    package let files: [LogFileSummary]

    /// Proves that these files, in any order, are one unbroken piece of one log.
    ///
    /// Their numbers are contiguous; every file has a header; all but the last end with their records or
    /// zeros; and each header's `prev` is the offset of the last record of the file before, which ties a file
    /// to the very records before it (`__log_newfile`, `log_put.c:742`). The header of the first file of a
    /// log (number 1) has 0; so does one after replication replaced the whole log, but no file comes before
    /// that one either. The last file may be torn: whether its end suffices is `covers`'s business. One that
    /// was created but has no header yet is left out.
    ///
    /// Throws `.missing` for a gap, `.corrupt` for files that do not fit, both naming the file.
    package static func check(_ summaries: [LogFileSummary]) throws(VarveError) -> LogChain {
        var files = summaries.sorted { $0.number < $1.number }
        // The application had just started this one; libdb takes the log to end before it
        // (`DB_LV_INCOMPLETE`, `log.c:649`).
        if files.count > 1, files.last?.header == nil { files.removeLast() }
        guard let first = files.first else { throw VarveError(.missing, "there are no log files") }
        try checkHeader(of: first)
        if first.number == 1 && first.previousOffset != 0 {
            throw misfit(first, "its header refers to a record before the log's beginning")
        }
        for (before, file) in zip(files, files.dropFirst()) {
            try checkStep(from: before, to: file)
        }
        return LogChain(files: files)
    }

    private init(files: [LogFileSummary]) { self.files = files }

    package var firstNumber: UInt32 { files[0].number }
    package var lastNumber: UInt32 { files[files.count - 1].number }
    /// The first byte after the last valid record.
    package var end: LSN {
        let last = files[files.count - 1]
        return LSN(file: last.number, offset: UInt32(clamping: last.validLength))
    }
    package var isEncrypted: Bool { files[0].isEncrypted }
    /// Something that is no record follows the last one.
    package var isTorn: Bool {
        if case .torn = files[files.count - 1].end { return true }
        return false
    }
    /// The newest checkpoint in these files; nil also if they are encrypted.
    package var lastCheckpoint: LogCheckpoint? { files.last { $0.lastCheckpoint != nil }?.lastCheckpoint }

    /// Whether a record at this LSN would be within the valid part: on a page, the LSN is where the record of
    /// the last change begins. File 0, on a page that was never logged, is covered by anything.
    package func covers(_ lsn: LSN) -> Bool {
        if lsn.file == 0 { return true }
        guard lsn.file >= firstNumber && lsn.file <= lastNumber else { return false }
        return UInt64(lsn.offset) < files[Int(lsn.file - firstNumber)].validLength
    }

    private static func checkHeader(of file: LogFileSummary) throws(VarveError) {
        guard file.header != nil else {
            throw misfit(file, "it has no header: it was preallocated and never written")
        }
    }

    private static func checkStep(from before: LogFileSummary, to file: LogFileSummary) throws(VarveError) {
        guard file.number != before.number else { throw misfit(file, "it is there twice") }
        guard file.number == before.number + 1 else {
            let count = file.number - before.number - 1
            throw VarveError(
                .missing, "\(count == 1 ? "a log file is" : "\(count) log files are") missing",
                location: "between log \(before.number) and log \(file.number)",
                hint: "recovery needs every file from the first to the last; find the missing ones")
        }
        if case .torn(let offset) = before.end {
            throw VarveError(
                .corrupt,
                "log file \(before.number) is damaged at offset \(offset), and later files follow it",
                hint:
                    "recovery would end there: take a checkpoint, remove the unneeded logs with db_archive -d, and look"
                    + " for the cause")
        }
        try checkHeader(of: file)
        guard file.isEncrypted == before.isEncrypted else {
            throw misfit(file, "it and the file before are not both encrypted")
        }
        guard let last = before.lastLSN, file.previousOffset == last.offset else {
            let expected = file.previousOffset.map(String.init) ?? "none"
            throw misfit(
                file,
                "it follows a record at offset \(expected), but the last one in the file before is "
                    + (before.lastLSN?.description ?? "none"))
        }
    }

    private static func misfit(_ file: LogFileSummary, _ what: String) -> VarveError {
        VarveError(
            .corrupt, "log file \(file.number) does not continue the log: \(what)",
            hint: "verify the environment's logs with db_printlog")
    }
}
