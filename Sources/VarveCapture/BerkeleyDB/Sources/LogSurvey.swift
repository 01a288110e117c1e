import VarveDatabase
import VarveFiles
import VarveFormat

/// What the log files of an environment say before anything is captured, without libdb.
package struct LogSurvey: Sendable, Hashable {
    /// Ascending.
    package var numbers: [UInt32]
    /// The newest checkpoint; nil if there is none, or the log is encrypted.
    package var checkpoint: LogCheckpoint?
    package var isEncrypted: Bool
    /// The first that recovery needs.
    package var firstNeeded: UInt32

    /// As `survey`; nil if there are no log files.
    static func find(_ directory: String, _ files: EnvironmentFiles) throws(VarveError) -> LogSurvey? {
        try LogKeeper.numbers(in: directory, files).isEmpty ? nil : survey(directory, files)
    }

    /// Reads the log files from the newest down to the one with the last checkpoint.
    ///
    /// Recovery begins at the `ckp_lsn` of the last checkpoint, and without a checkpoint at the log's
    /// beginning. An encrypted log does not show its checkpoints, so all of its files are needed.
    ///
    /// Throws `.notTransactional` if there are no log files, `.missingLog` if the needed ones are not all
    /// there, and `.refused` if a file that should be whole is damaged.
    package static func survey(_ directory: String, _ files: EnvironmentFiles) throws(VarveError) -> LogSurvey
    {
        let numbers = try LogKeeper.numbers(in: directory, files)
        guard let lowest = numbers.first, let highest = numbers.last else { throw noLogs(directory) }
        var survey = LogSurvey(numbers: numbers, checkpoint: nil, isEncrypted: false, firstNeeded: lowest)
        for number in numbers.reversed() {
            let summary: LogFileSummary
            do {
                summary = try summarize(number, in: directory, files)
            } catch let error where error.isNoEntry && number == lowest && number < highest {
                break
            }
            if case .torn(let offset) = summary.end, number != highest {
                throw VarveError(
                    .refused, "log file \(number) is damaged at offset \(offset), and later files follow it",
                    location: Path.join(directory, EnvironmentFileKind.logName(number)),
                    hint: "recovery would end there: take a checkpoint, remove the unneeded logs with"
                        + " db_archive -d, and look for the cause")
            }
            if summary.isEncrypted {
                survey.isEncrypted = true
                break
            }
            if let checkpoint = summary.lastCheckpoint {
                survey.checkpoint = checkpoint
                survey.firstNeeded = checkpoint.checkpointLSN.file
                break
            }
        }
        if survey.checkpoint == nil && !survey.isEncrypted && lowest != 1 {
            throw VarveError(
                .missingLog, "the logs begin with number \(lowest), and there is no checkpoint in them",
                location: directory,
                hint: "recovery needs all logs since the last checkpoint: find the missing ones")
        }
        try survey.requireContiguous(directory)
        return survey
    }

    private func requireContiguous(_ directory: String) throws(VarveError) {
        guard let lowest = numbers.first, let highest = numbers.last else { return }
        guard lowest <= firstNeeded else {
            throw VarveError(
                .missingLog,
                "recovery begins in log file \(firstNeeded), but the first one there is \(lowest)",
                location: directory, hint: "a needed log file was removed: put it back, or take a checkpoint")
        }
        guard firstNeeded <= highest else {
            throw VarveError(
                .missingLog,
                "recovery begins in log file \(firstNeeded), but the last one there is \(highest)",
                location: directory, hint: "newer log files were removed: put them back")
        }
        let present = Set(numbers)
        if let missing = (max(lowest, firstNeeded)...highest).first(where: { !present.contains($0) }) {
            throw VarveError(
                .missingLog, "there is a gap in the logs: \(EnvironmentFileKind.logName(missing)) is missing",
                location: directory,
                hint:
                    "recovery needs every file from \(firstNeeded) to \(highest): put it back, or take a checkpoint"
            )
        }
    }

    static func noLogs(_ directory: String) -> VarveError {
        VarveError(
            .notTransactional,
            "there are no log files: the environment is not transactional, keeps its logs in memory,"
                + " or has them elsewhere",
            location: directory,
            hint:
                "if the application's code sets the log directory (set_lg_dir), name it with --log-dir; without"
                + " logs on disk no consistent backup is possible while the application runs")
    }

    static func summarize(
        _ number: UInt32, in directory: String, _ files: EnvironmentFiles
    ) throws(VarveError) -> LogFileSummary {
        let path = Path.join(directory, EnvironmentFileKind.logName(number))
        let file = try files.open(reading: path)
        return try summarize(number, file)
    }

    /// As it is at this moment: what is appended while it is read does not count.
    static func summarize(_ number: UInt32, _ file: borrowing File) throws(VarveError) -> LogFileSummary {
        let size = try file.status().size
        do throws(VarveError) {
            return try LogWalker.walk(number: number, size: size) { (offset, buffer) throws(VarveError) in
                try file.read(into: buffer, at: offset)
            }
        } catch var error {
            error.location = error.location ?? file.path
            throw error
        }
    }

    /// What the log files from the one that ended here once up to another one, without it, say of files; nil if one of
    /// them can't be read, or no record ends here: it is another log then.
    static func files(
        _ directory: String, _ door: EnvironmentFiles, since end: LSN, to last: UInt32
    ) throws(VarveError) -> LoggedFiles? {
        var logged = LoggedFiles()
        var isSameLog = false
        for number in end.file...max(end.file, last) {
            let file = try door.open(reading: Path.join(directory, EnvironmentFileKind.logName(number)))
            let size = try file.status().size
            let summary = try LogWalker.walk(
                number: number, size: size,
                read: { (offset, buffer) throws(VarveError) in try file.read(into: buffer, at: offset) }
            ) {
                if number == end.file, $0.lsn.offset &+ $0.length == end.offset { isSameLog = true }
                if number < last { logged.add($0) }
            }
            if summary.isEncrypted || !isSameLog { return nil }
            if number + 1 >= last { break }
        }
        return logged
    }

    /// As `files`; nil as well where they can't be read: the application may have removed them.
    static func filesIfReadable(_ layout: EnvironmentLayout, since end: LSN, to last: UInt32) -> LoggedFiles?
    {
        let directory = layout.logDirectory.path
        return Notices.attempt(
            .remark, directory, "older logs can't be read: what they say of databases is not known"
        ) { try files(directory, layout.files, since: end, to: last) } ?? nil
    }
}
