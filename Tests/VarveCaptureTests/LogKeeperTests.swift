import Foundation
import Testing
import VarveCapture
import VarveFiles
import VarveFormat
import VarveHelperProtocol
import VarveTestSupport

import enum ProcessSupport.Machine

@Suite(.serialized) struct LogKeeperTests {
    private func environment(_ scratch: Scratch) throws -> String {
        try TestEnvironment(scratch, "home", ["--log-size", "200000"]).home
    }

    private func removeUnneededLogs(_ home: String) throws {
        let finished = try Tool.run("/usr/bin/db5.3_archive", ["-d", "-h", home])
        #expect(finished.status == 0, "\(finished.errors)")
    }

    @Test func removedLogsStayReadable() throws {
        let scratch = try Scratch()
        let home = try environment(scratch)
        let numbers = try LogKeeper.numbers(in: home)
        try #require(numbers.count > 3)
        let first = Path.join(home, "log.0000000001")
        let content = try Data(contentsOf: URL(fileURLWithPath: first))
        let keeper = try LogKeeper(logDirectory: home, first: 1)
        try removeUnneededLogs(home)
        #expect(try FileStatus.of(first) == nil)
        #expect(keeper.held == numbers)
        let kept = try keeper.withFile(1) { (file) throws(VarveError) in try file.readAll(limit: 1 << 30) }
        #expect(kept.map { Data($0) } == content)
        keeper.close()
        #expect(try FileStatus.of(Path.join(home, ".varve")) == nil)
        #expect(try LogKeeper.numbers(in: home).count < numbers.count)
    }

    /// The control: without a keeper the same removal takes the log away.
    @Test func withoutAKeeperRemovedLogsAreGone() throws {
        let scratch = try Scratch()
        let home = try environment(scratch)
        try removeUnneededLogs(home)
        let later = try LogKeeper(logDirectory: home, first: 1)
        #expect(try later.withFile(1) { (file) throws(VarveError) in try file.status().size } == nil)
    }

    /// It comes back when there is something to look at, long before it would look of itself; and not without.
    @Test func aWatchTellsOfNewFiles() throws {
        let scratch = try Scratch()
        let logs = try scratch.make("logs")
        guard let watch = DirectoryWatch(logs) else { throw VarveError(.system, "no watch is to be had") }
        let start = Clock.monotonic()
        watch.wait(milliseconds: 200)
        #expect(Clock.monotonic() - start >= 190_000_000)
        for number in 1...3 {
            let creator = try WorkerThread {
                usleep(20_000)
                _ = try? File.create(Path.join(logs, "log.000000000\(number)"))
            }
            let begin = Clock.monotonic()
            watch.wait(milliseconds: 30_000)
            #expect(Clock.monotonic() - begin < 20_000_000_000)
            creator.join()
        }
    }

    @Test func newLogsAreKeptAsTheyAppear() throws {
        let scratch = try Scratch()
        let home = try scratch.make("logs")
        try scratch.write("logs/log.0000000007", "seven")
        let keeper = try LogKeeper(logDirectory: home, first: 7)
        try scratch.write("logs/log.0000000006", "six")
        try scratch.write("logs/log.0000000008", "eight")
        try scratch.write("logs/log.db", "no log")
        usleep(300_000)
        try Directory.removeFile(Path.join(home, "log.0000000008"))
        #expect(keeper.held == [7, 8])
        #expect(
            try keeper.withFile(8) { (file) throws(VarveError) in try file.readAll(limit: 100) }
                == Array("eight".utf8))
        try keeper.checkHealth()
        keeper.close()
        keeper.close()
    }

    @Test func theLinksOfAKilledRunAreRemovedByTheNext() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        try scratch.write("home/log.0000000003", "three")
        _ = try scratch.make("home/.varve/logs")
        try scratch.write("home/.varve/logs/log.0000000001", "left over")
        let keeper = try LogKeeper(logDirectory: home, first: 1)
        #expect(keeper.held == [3])
        #expect(try FileStatus.of(home + "/.varve/logs/log.0000000001") == nil)
        keeper.close()
        #expect(try LogKeeper.removeLinks(logDirectory: home) == 0)
    }

    /// Another file system where the links should go: there can be none to it.
    @Test(.needsMounting()) func whereLinksAreNotPossibleFilesAreKeptOpen() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        try scratch.write("home/log.0000000001", "one")
        let target = try scratch.make("home/.varve")
        try #require(try Tool.run("/bin/mount", ["-t", "tmpfs", "none", target]).status == 0)
        defer { _ = try? Tool.run("/bin/umount", [target]) }
        let keeper = try LogKeeper(logDirectory: home, first: 1)
        #expect(keeper.reasonAgainstLinks != nil)
        try Directory.removeFile(home + "/log.0000000001")
        #expect(
            try keeper.withFile(1) { (file) throws(VarveError) in try file.readAll(limit: 100) }
                == Array("one".utf8))
        keeper.close()
    }

    /// Root would write wherever the environment's owner has led it.
    @Test func aSymbolicLinkInItsPlaceIsRefused() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        try scratch.write("home/log.0000000001", "one")
        let elsewhere = try scratch.make("elsewhere")
        try FileManager.default.createSymbolicLink(atPath: home + "/.varve", withDestinationPath: elsewhere)
        expect(.refused) { _ = try LogKeeper(logDirectory: home, first: 1) }
        #expect(try Directory.list(elsewhere).isEmpty)
    }

    /// What a killed backup left of an environment that was closed since.
    @Test func unwedgeRemovesLinks() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        let logs = try scratch.make("home/logs")
        try scratch.write("home/logs/log.0000000001", "one")
        _ = try scratch.make("home/logs/.varve/logs")
        try FileManager.default.linkItem(
            atPath: logs + "/log.0000000001", toPath: logs + "/.varve/logs/log.0000000001")
        let environment = CaptureEnvironment(home: home, logDirectory: "logs")
        let helper = Tool.ours("varve-capture-bdb")
        let report = try unwedge(environment, executable: helper)
        #expect(report.removedLinks == 1 && report.helper == nil)
        #expect(report.lines.first == "a link to a log file removed", "\(report.lines)")
        #expect(try Directory.list(logs) == ["log.0000000001"])
        // The control: now there is nothing of a backup, and nothing to join.
        expect(.noEnvironment) { _ = try unwedge(environment, executable: helper) }
    }
}
