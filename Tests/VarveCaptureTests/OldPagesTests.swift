import Foundation
import Testing
import VarveCapture
import VarveFiles
import VarveFormat
import VarveTestSupport

/// The newest page may be older than the first log that recovery needs: of a database that rested while others
/// were written, or of an environment that rested through a change of log files.
@Suite struct OldPagesTests {
    /// The fixture's last checkpoint is in log 8, its `btree.db` was last written in log 6.
    @Test func aPageOlderThanTheFirstNeededLogIsNoReasonToRefuse() throws {
        let scratch = try Scratch()
        let home = try fixture("checksum-512", in: scratch)
        let sink = KeepingSink()
        let summary = try OfflineSource(.init(home: home, only: ["btree.db"])).capture(into: sink)
        let recovery = try #require(summary.recovery)
        #expect(recovery.firstLog == 8)
        #expect(recovery.largestPageLSN == LSN(file: 6, offset: 9161))
        #expect(sink.files.map(\.file.path) == ["btree.db", "log.0000000008"])
    }

    /// The control: without the last log, whole databases have pages beyond the end.
    @Test func aPageBeyondTheEndOfTheLogIs() throws {
        let scratch = try Scratch()
        let home = try fixture("checksum-512", in: scratch)
        try Directory.removeFile(Path.join(home, "log.0000000008"))
        let error = expect(.refused) { try OfflineSource(.init(home: home)).capture(into: KeepingSink()) }
        #expect(error?.message.contains("past the end of the log") == true)
    }

    private func fixture(_ name: String, in scratch: Scratch) throws -> String {
        let fixtures = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../Fixtures/bdb")
        let home = Path.join(scratch.path, "home")
        try FileManager.default.copyItem(atPath: fixtures.appending(path: name).path, toPath: home)
        try Directory.removeFile(Path.join(home, "facts"))
        return home
    }
}
