import Foundation
import Testing
import VarveCapture
import VarveFiles
import VarveFormat
import VarveTestSupport

import enum ProcessSupport.Machine

/// A writer that goes on while a test runs.
private final class LiveWriter {
    let home: String
    let process: Process
    private let scratch: Scratch

    private var progress: String { Path.join(scratch.path, "progress") }

    init(_ scratch: Scratch, _ options: [String] = [], home: String? = nil) throws {
        self.scratch = scratch
        let progress = Path.join(scratch.path, "progress")
        self.home = try home ?? scratch.make("home")
        let ready = Path.join(scratch.path, "ready")
        (process, _, _) = try Tool.start(
            Tool.ours("bdb-workload"),
            [
                "run", "--home", self.home, "--seconds", "60", "--records", "500", "--value-size", "200",
                "--ready", ready, "--progress", progress,
            ] + options)
        for _ in 0..<1000 where !FileManager.default.fileExists(atPath: ready) { usleep(10_000) }
        guard FileManager.default.fileExists(atPath: ready) else {
            throw VarveError(.invalid, "the writer did not start")
        }
    }

    /// The highest sequence number whose commit has returned, as the writer last said.
    func committed() throws -> Int {
        let text = try String(contentsOfFile: progress, encoding: .utf8)
        let whole = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().last
        return whole?.split(separator: " ").last.flatMap { Int($0) } ?? 0
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }

    deinit { stop() }
}

private let helper = HelperOptions(executable: Tool.ours("varve-capture-bdb"))

@Suite(.serialized) struct LiveSourceTests {
    private func capture(_ options: EnvironmentOptions) throws -> (KeepingSink, CaptureSummary) {
        let sink = KeepingSink()
        return (sink, try LiveSource(options, helper: helper).capture(into: sink))
    }

    @discardableResult
    private func refused(
        _ code: VarveError.Code, _ options: EnvironmentOptions, _ helper: HelperOptions = helper,
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> VarveError? {
        let sink = KeepingSink()
        let error = expect(code, sourceLocation: sourceLocation) {
            try LiveSource(options, helper: helper).capture(into: sink)
        }
        #expect(sink.paths == [], sourceLocation: sourceLocation)
        return error
    }

    @Test(arguments: [
        ["--methods", "btree,hash"], ["--methods", "btree,hash,recno,queue", "--queue-extent", "4"],
        ["--methods", "btree,hash", "--page-size", "512", "--checksum"],
        ["--methods", "btree,hash", "--page-size", "65536", "--byte-order", "4321"],
        ["--methods", "btree,hash", "--subdir", "--log-size", "300000", "--auto-remove"],
        ["--methods", "btree,hash", "--multi"], ["--methods", "btree", "--partition"],
        ["--methods", "btree,hash", "--data-dir", "data", "--log-dir", "logs"],
        ["--methods", "btree,hash", "--register", "--recover"],
    ])
    func whatWasCapturedRecovers(_ options: [String]) throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch, options)
        let sink = KeepingSink()
        var committed = 0
        // What was committed when the last database began is in the logs, which are read later.
        sink.onBegin = { if $0.kind == .database { committed = try writer.committed() } }
        let summary = try LiveSource(.init(home: writer.home), helper: helper).capture(into: sink)
        #expect(writer.process.isRunning)
        writer.stop()
        #expect(committed > 0)
        #expect(summary.warnings.isEmpty, "\(summary.warnings)")
        let recovery = try #require(summary.recovery)
        #expect(recovery.endOfLog > recovery.largestPageLSN ?? .zero)
        let kinds = sink.files.map(\.file.kind)
        let firstLog = try #require(kinds.firstIndex(of: .log))
        #expect(kinds[firstLog...].allSatisfy { $0 == .log })
        #expect(sink.paths.allSatisfy { !$0.hasPrefix(".") && !$0.contains("__db.0") })
        #expect(summary.directories.first?.path == ".")
        #expect(summary.environment?.registered == options.contains("--register"))
        let logs = Path.join(writer.home, options.contains("logs") ? "logs" : "")
        #expect(try LogKeeper.removeLinks(logDirectory: logs) == 0)
        for directory in summary.directories {
            _ = try scratch.make("restored/" + directory.path)
        }
        let keep: Set<String> = ["--register", "--recover", "--log-size", "300000", "--auto-remove"]
        let finished = try TestEnvironment.check(sink, in: scratch, options.filter { !keep.contains($0) })
        #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
        let result = try JSONSerialization.jsonObject(with: Data(finished.output.utf8)) as? [String: Any]
        #expect(try #require(result?["seq"] as? Int) >= committed)
    }

    @Test func anEncryptedEnvironmentNeedsItsPassword() throws {
        let scratch = try Scratch()
        try scratch.write("password", "secret")
        let password = Path.join(scratch.path, "password")
        let writer = try LiveWriter(scratch, ["--encrypt", password])
        refused(.wrongKey, .init(home: writer.home))
        refused(
            .wrongKey, .init(home: writer.home),
            HelperOptions(password: Array("wrong".utf8), executable: Tool.ours("varve-capture-bdb")))
        let sink = KeepingSink()
        let right = HelperOptions(password: Array("secret".utf8), executable: Tool.ours("varve-capture-bdb"))
        let summary = try LiveSource(.init(home: writer.home), helper: right).capture(into: sink)
        #expect(summary.warnings.map(\.code) == ["encrypted-logs"])
        #expect(summary.environment?.encrypted == true)
        #expect(!summary.warnings.contains { $0.taints })
        let target = try scratch.make("restored")
        try sink.restore(to: target)
        let recovered = try Tool.run("/usr/bin/db5.3_recover", ["-c", "-h", target, "-P", "secret"])
        #expect(recovered.status == 0, "\(recovered.errors)")
        let checked = try Tool.workload("check", "--home", target, "--encrypt", password)
        #expect(checked.status == 0, "\(checked.errors)")
    }

    /// A hard link would be one of the symbolic link: such logs are held open.
    @Test func logsBehindSymbolicLinksAreHeld() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch, ["--log-size", "300000", "--rate", "500"])
        let away = try scratch.make("away")
        let log = Path.join(writer.home, "log.0000000001")
        try Directory.rename(log, to: Path.join(away, "log.0000000001"))
        #expect(symlink("../away/log.0000000001", log) == 0)
        let sink = KeepingSink()
        let summary = try LiveSource(.init(home: writer.home, allLogs: true), helper: helper).capture(
            into: sink)
        writer.stop()
        #expect(try #require(summary.recovery).firstLog >= 1)
        #expect(sink["log.0000000001"]?.facts?.log?.validLength ?? 0 > 1000)
        let finished = try TestEnvironment.check(sink, in: scratch)
        #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
    }

    @Test func aClosedEnvironmentIsNotLive() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        for name in try Directory.list(environment.home) where name.hasPrefix("__db.0") {
            try Directory.removeFile(Path.join(environment.home, name))
        }
        let error = refused(.noEnvironment, .init(home: environment.home))
        #expect(error?.hint?.contains("--offline") == true)
    }

    @Test func privateRegionsAreRefusedWithTheProcess() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch, ["--private"])
        let error = refused(.noEnvironment, .init(home: writer.home))
        #expect(error?.message.contains("private to process \(writer.process.processIdentifier)") == true)
    }

    @Test func logsInMemoryAreRefused() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch, ["--in-memory-logs"])
        refused(.memoryLogs, .init(home: writer.home))
    }

    @Test func anEnvironmentWithoutTransactionsIsRefused() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch, ["--no-txn"])
        refused(.notTransactional, .init(home: writer.home))
    }

    @Test func aWrongLogDirectoryIsRefusedAndHarmless() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(
            scratch, ["--methods", "btree,hash", "--log-dir", "logs", "--dirs-in-code"])
        refused(.wrongLogDirectory, .init(home: writer.home))
        _ = try scratch.make("home/elsewhere")
        refused(.wrongLogDirectory, .init(home: writer.home, logDirectory: "elsewhere"))
        usleep(300_000)
        #expect(writer.process.isRunning)
        let (sink, summary) = try capture(.init(home: writer.home, logDirectory: "logs"))
        #expect(summary.environment?.logDirectory.configured == false)
        #expect(sink.paths.contains { $0.hasPrefix("logs/log.") })
    }

    @Test func aSecondBackupIsRefused() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch)
        let lock = try EnvironmentLock(home: writer.home)
        refused(.locked, .init(home: writer.home))
        withExtendedLifetime(lock) {}
    }

    @Test func aCopyInTheHomeIsRefused() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch)
        let file = try #require(try EnvironmentLayout.find(.init(home: writer.home)).list().databases.first)
        try FileManager.default.copyItem(atPath: file.path, toPath: Path.join(writer.home, "copy.db"))
        #expect(refused(.refused, .init(home: writer.home))?.message.contains("copy.db") == true)
    }

    /// The application removes every log it no longer needs while the databases are read: the backup has
    /// them.
    @Test func logsThatTheApplicationRemovesAreInTheBackup() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch, ["--log-size", "300000", "--checkpoint-ms", "100"])
        let sink = KeepingSink()
        let lowest = try LogKeeper.numbers(in: writer.home).first
        var isDone = false
        sink.onBegin = { file in
            guard file.kind == .database, !isDone else { return }
            isDone = true
            // However fast it writes: until the logs of this moment are gone.
            let newest = try LogKeeper.numbers(in: writer.home).last ?? 0
            for _ in 0..<200 where try LogKeeper.numbers(in: writer.home).first ?? 0 <= newest {
                usleep(100_000)
                _ = try Tool.run("/usr/bin/db5.3_archive", ["-d", "-h", writer.home])
            }
        }
        let summary = try LiveSource(.init(home: writer.home), helper: helper).capture(into: sink)
        let recovery = try #require(summary.recovery)
        let now = try #require(try LogKeeper.numbers(in: writer.home).first)
        #expect(now > recovery.firstLog, "nothing was removed, so nothing was shown (from \(lowest ?? 0))")
        writer.stop()
        let finished = try TestEnvironment.check(sink, in: scratch)
        #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
    }

    /// The control: were a needed log not there, recovery of the backup could return 0 and lose data.
    @Test func aWithheldLogFailsTheProof() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch, ["--log-size", "300000"])
        let sink = KeepingSink()
        sink.onBegin = { file in
            guard file.kind == .database else { return }
            usleep(500_000)
            let links = Path.join(writer.home, ".varve/logs")
            guard let first = try Directory.list(links).first else { return }
            for path in [Path.join(links, first), Path.join(writer.home, first)] {
                if try FileStatus.of(path) != nil { try Directory.removeFile(path) }
            }
        }
        expect(.missingLog) {
            _ = try LiveSource(.init(home: writer.home), helper: helper).capture(into: sink)
        }
        #expect(try EnvironmentJournal.pending(home: writer.home) == nil)
    }

    @Test func databasesThatAppearMeanwhileAreInTheBackup() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch)
        try scratch.write("text", "one\n1\ntwo\n2\n")
        let sink = KeepingSink()
        sink.onBegin = { file in
            guard file.path == "btree1.db" || file.path == "hash2.db" else { return }
            let loaded = try Tool.run(
                "/usr/bin/db5.3_load",
                [
                    "-h", writer.home, "-T", "-t", "btree", "-f", Path.join(scratch.path, "text"),
                    "new-\(file.path)",
                ])
            #expect(loaded.status == 0, "\(loaded.errors)")
        }
        _ = try LiveSource(.init(home: writer.home), helper: helper).capture(into: sink)
        writer.stop()
        #expect(sink["new-btree1.db"]?.facts?.database?.type == "btree")
        #expect(sink["new-hash2.db"]?.facts?.database?.type == "btree")
        let finished = try TestEnvironment.check(sink, in: scratch)
        #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
        let restored = Path.join(scratch.path, "restored")
        let dumped = try Tool.run("/usr/bin/db5.3_dump", ["-p", "-h", restored, "new-hash2.db"])
        #expect(dumped.output.contains("two"))
    }

    /// libdb would open the second one for the first: the application knows no data directories.
    @Test func twoDatabasesOfOneNameAreRefused() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch)
        _ = try scratch.make("home/data")
        try scratch.write("text", "one\n1\n")
        let loaded = try Tool.run(
            "/usr/bin/db5.3_load",
            [
                "-h", writer.home, "-T", "-t", "btree", "-f", Path.join(scratch.path, "text"),
                "data/btree1.db",
            ])
        #expect(loaded.status == 0, "\(loaded.errors)")
        let error = refused(.refused, .init(home: writer.home, dataDirectories: ["data"]))
        #expect(error?.message.contains("two databases are called btree1.db") == true)
        let (sink, _) = try capture(.init(home: writer.home))
        let uids = ["btree1.db", "data/btree1.db"].map { sink[$0]?.facts?.database?.uid }
        #expect(uids[0] != nil && uids[1] != nil && uids[0] != uids[1])
        for (name, uid) in zip(["btree1.db", "data/btree1.db"], uids) {
            let bytes = try #require(sink[name]?.bytes)
            #expect(Hex.encode(Array(bytes[52..<72])) == uid)
        }
    }

    /// A data directory that only the application's code knows, and nobody told: no wrong bytes are taken.
    @Test func anUntoldDataDirectoryIsRefused() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(
            scratch, ["--methods", "btree,hash", "--data-dir", "data", "--dirs-in-code"])
        let sink = KeepingSink()
        let error = expect(.refused) {
            _ = try LiveSource(.init(home: writer.home), helper: helper).capture(into: sink)
        }
        #expect(error?.hint?.contains("--data-dir") == true)
        #expect(!sink.files.contains { $0.facts != nil })
        usleep(300_000)
        #expect(writer.process.isRunning)
        let (told, _) = try capture(.init(home: writer.home, dataDirectories: ["data"]))
        #expect(told.paths.contains("data/btree1.db"))
    }

    /// What the sink throws ends the capture; flags and links are as before, and the next capture works.
    @Test func aFailingSinkLeavesNothingBehind() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch)
        let sink = KeepingSink()
        sink.onBegin = { _ in throw VarveError(.interrupted, "stopped") }
        expect(.interrupted) {
            _ = try LiveSource(.init(home: writer.home), helper: helper).capture(into: sink)
        }
        #expect(try EnvironmentJournal.pending(home: writer.home) == nil)
        #expect(try FileStatus.of(Path.join(writer.home, ".varve/logs")) == nil)
        _ = try capture(.init(home: writer.home))
    }

    @Test func directReadsOfALiveEnvironmentNeedXFS() throws {
        let scratch = try Scratch()
        let writer = try LiveWriter(scratch)
        let sink = KeepingSink()
        let error = expect(.refused) {
            _ = try DirectSource(.init(home: writer.home), helper: helper).capture(into: sink)
        }
        #expect(error?.message.contains("XFS") == true)
        #expect(sink.paths == [])
    }

    @Test(
        .needsDisk("xfs"),
        arguments: [
            ["--page-size", "65536"], ["--queue-extent", "4", "--methods", "btree,queue"], ["--private"],
        ])
    func directReadsOnXFSRecover(_ options: [String]) throws {
        let scratch = try Scratch()
        let (image, mount) = (Path.join(scratch.path, "image"), try scratch.make("mount"))
        let file = try File.create(image)
        try file.truncate(to: 400 << 20)
        try file.close()
        try #require(try Tool.run("/usr/sbin/mkfs.xfs", ["-q", image]).status == 0)
        try #require(try Tool.run("/bin/mount", ["-o", "loop", image, mount]).status == 0)
        defer { _ = try? Tool.run("/bin/umount", [mount]) }
        do {
            let writer = try LiveWriter(scratch, options, home: try scratch.make("mount/home"))
            let sink = KeepingSink()
            let summary = try DirectSource(.init(home: writer.home), helper: helper).capture(into: sink)
            writer.stop()
            #expect(summary.environment?.mode == .direct)
            #expect(summary.warnings.map(\.code) == (options == ["--private"] ? ["no-counter"] : []))
            let check = options.filter { $0 != "--private" }
            let finished = try TestEnvironment.check(sink, in: scratch, check)
            #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
        }
    }
}
