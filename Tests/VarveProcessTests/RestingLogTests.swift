import ProcessSupport
import Testing
import VarveDatabase
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// libdb writes whole buffers of its log: at rest half a record is on disk, until somebody flushes it.
    @Suite struct RestingLogTests {
        @Test(arguments: [(1500, false), (2000, false), (2500, true)])
        func halfARecordIsNoDamage(_ records: Int, _ isIdle: Bool) throws {
            let application = try RestingApplication(records, isIdle ? ["--idle"] : [])
            let summary = try log(application.home)
            guard case .torn(let offset) = summary.end else {
                Issue.record("the log does not end in half a record: \(summary.end)")
                return
            }
            let finished = try application.backup().require(0)
            let backup = try finished.decode(BackupOutput.self)
            #expect(!backup.tainted)
            #expect(backup.warnings.map(\.code) == ["log-unflushed"], "\(finished)")
            #expect(backup.recovery?.endOfLog == LSN(file: 1, offset: UInt32(offset)))
            // What was committed is there in its order, from the first on.
            let keys = try application.restoredKeys(backup.snapshot)
            #expect(keys == Array(0..<keys.count) && keys.count > records / 2 && keys.count < records)

            try application.running.terminate().require(0)
            let after = try application.backup(["--offline"]).require(0).decode(BackupOutput.self)
            #expect(try application.restoredKeys(after.snapshot) == Array(0..<records))
        }

        /// The control: the same bytes that are no record, where something follows them. What libdb calls durable is tried in
        /// `DamagedLogTests`.
        @Test func whatHidesSomethingIsDamage() throws {
            let application = try RestingApplication(2000)
            guard case .torn(let offset) = try log(application.home).end else {
                throw ProcessFailure("the log does not end in half a record")
            }
            let path = Path.join(application.home, "log.0000000001")
            let end = try #require(try log(application.home).unfinishedEnd)
            let file = try File.open(updating: path)
            try [UInt8(1)].withUnsafeBytes { try file.write($0, at: end + 100) }
            try file.close()
            let hidden = try application.backup().require(1)
            #expect(hidden.errors.contains("is damaged at offset \(offset)"), "\(hidden)")

            let again = try File.open(updating: path)
            try [UInt8(0)].withUnsafeBytes { try again.write($0, at: end + 100) }
            try again.close()
            #expect(try application.backup().code == 0)
            try application.running.killGroup()
        }

        private func log(_ home: String) throws -> LogFileSummary {
            let file = try File.open(reading: Path.join(home, "log.0000000001"))
            return try LogWalker.walk(number: 1, size: file.status().size) {
                (offset, buffer) throws(VarveError) in
                try file.read(into: buffer, at: offset)
            }
        }
    }
}
