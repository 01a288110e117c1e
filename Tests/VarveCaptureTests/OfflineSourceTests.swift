import Foundation
import Testing
import VarveCapture
import VarveFiles
import VarveFormat
import VarveTestSupport

@Suite(.serialized) struct OfflineSourceTests {
    private func capture(_ options: EnvironmentOptions) throws -> (KeepingSink, CaptureSummary) {
        let sink = KeepingSink()
        return (sink, try OfflineSource(options).capture(into: sink))
    }

    /// The error, and that nothing was announced to the sink before it.
    @discardableResult
    private func refused(
        _ code: VarveError.Code, _ options: EnvironmentOptions,
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> VarveError? {
        let sink = KeepingSink()
        let error = expect(code, sourceLocation: sourceLocation) {
            try OfflineSource(options).capture(into: sink)
        }
        #expect(sink.paths == [], sourceLocation: sourceLocation)
        return error
    }

    @Test(arguments: [
        ["--methods", "btree,hash"], ["--methods", "btree,hash,recno,queue", "--queue-extent", "4"],
        ["--methods", "btree,hash", "--page-size", "512", "--checksum"],
        ["--methods", "btree,hash", "--page-size", "65536", "--byte-order", "4321"],
        ["--methods", "btree,hash", "--subdir", "--log-size", "1000000"],
        ["--methods", "btree,hash", "--multi"], ["--methods", "btree", "--partition"],
        ["--methods", "btree,hash", "--data-dir", "data", "--log-dir", "logs"],
    ])
    func whatWasCapturedRecovers(_ options: [String]) throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch, "home", options)
        for name in ["data", "logs"] where options.contains(name) {
            _ = try scratch.make("restored/" + name)
        }
        let (sink, summary) = try capture(.init(home: environment.home))
        #expect(summary.warnings.isEmpty)
        let recovery = try #require(summary.recovery)
        #expect(recovery.endOfLog > recovery.largestPageLSN ?? .zero)
        #expect(recovery.checkpoint != nil)
        let kinds = sink.files.map(\.file.kind)
        let firstLog = try #require(kinds.firstIndex(of: .log))
        #expect(kinds[firstLog...].allSatisfy { $0 == .log })
        let layout = options.filter { $0 != "--log-size" && $0 != "1000000" }
        let finished = try TestEnvironment.check(sink, in: scratch, layout)
        #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
    }

    @Test func everyByteIsTheSources() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        let (sink, summary) = try capture(.init(home: environment.home, allLogs: true))
        for kept in sink.files {
            let path = Path.join(environment.home, kept.file.path)
            let source = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
            let size = Int(try #require(kept.facts?.size))
            #expect(kept.bytes + [UInt8](repeating: 0, count: size - kept.bytes.count) == source, "\(path)")
        }
        #expect(sink.paths.contains("log.0000000001"))
        #expect(summary.environment?.mode == .offline)
    }

    /// A flipped byte in the last log looks like its end: what follows it must not be left out without a word.
    @Test func aDamagedEndOfTheLogTaints() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        let (whole, before) = try capture(.init(home: environment.home))
        #expect(!before.warnings.contains { $0.taints })
        let log = try #require(whole.files.last?.file.path)
        let end = try #require(before.recovery?.endOfLog)
        let file = try File.open(updating: Path.join(environment.home, log))
        var byte = [UInt8](repeating: 0, count: 1)
        // In the last record's body, past every page's LSN: coverage alone would not show it.
        let offset = UInt64(end.offset) - 4
        _ = try byte.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
        byte[0] ^= 0x40
        try byte.withUnsafeBytes { try file.write($0, at: offset) }
        let (_, summary) = try capture(.init(home: environment.home))
        #expect(summary.warnings.contains { $0.code == "log-torn" && $0.taints })
        #expect(try #require(summary.recovery).endOfLog < end)
    }

    /// libdb's own names for temporary files are left out; a user's that only looks a little like one is not.
    @Test func temporaryFilesAreLeftOutAndOthersAreNot() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        try scratch.write("text", "one\n1\n")
        let temporary = ["BDB12345", "BDBa2345", "BDBzz345"]
        let others = ["BDBdata1", "BDB1a234", "BDB1234", "BDB123456", "BDBabcd1"]
        for name in temporary + others {
            let path = Path.join(environment.home, name)
            let made = try Tool.run(
                "/usr/bin/db5.3_load", ["-T", "-t", "btree", "-f", Path.join(scratch.path, "text"), path])
            #expect(made.status == 0, "\(made.errors)")
        }
        let (sink, summary) = try capture(.init(home: environment.home))
        #expect(Set(sink.paths.filter { $0.hasPrefix("BDB") }) == Set(others))
        let named = summary.warnings.filter { $0.code == "temporary-file" }.compactMap(\.path)
        #expect(Set(named.map(Path.name)) == Set(temporary))
    }

    /// As libdb follows it.
    @Test func aLogBehindASymbolicLinkIsRead() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch, "home", ["--log-size", "300000"])
        let away = try scratch.make("away")
        let numbers = try LogKeeper.numbers(in: environment.home)
        for name in try Directory.list(environment.home) where name.hasPrefix("log.") {
            let moved = Path.join(away, name)
            try Directory.rename(Path.join(environment.home, name), to: moved)
            #expect(symlink("../away/" + name, Path.join(environment.home, name)) == 0)
        }
        let (sink, _) = try capture(.init(home: environment.home, allLogs: true))
        #expect(sink.files.count { $0.file.kind == .log } == numbers.count)
        let finished = try TestEnvironment.check(sink, in: scratch)
        #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
    }

    /// Swift repairs such a name, and finds no file by it: the database must not be taken for vanished.
    @Test func aNameThatIsNoTextIsRefused() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        let script = "cp \"$1\"/btree1.db \"$1\"/\"$(printf 'b\\377d').db\""
        let made = try Tool.run("/bin/sh", ["-c", script, "sh", environment.home])
        #expect(made.status == 0, "\(made.errors)")
        #expect(refused(.refused, .init(home: environment.home)) != nil)
    }

    @Test func onlySelectedDatabasesAndAllTheLogs() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        let names = try EnvironmentLayout.find(.init(home: environment.home)).list().databases.map(\.restored)
        let (sink, summary) = try capture(.init(home: environment.home, only: [names[0]]))
        #expect(sink.files.filter { $0.file.kind == .database }.map(\.file.path) == [names[0]])
        #expect(summary.environment?.only == [names[0]])
        let target = try scratch.make("restored")
        try sink.restore(to: target)
        let recovered = try Tool.run("/usr/bin/db5.3_recover", ["-c", "-h", target])
        #expect(recovered.status == 0, "\(recovered.errors)")
        let verified = try Tool.run("/usr/bin/db5.3_verify", ["-h", target, names[0]])
        #expect(verified.status == 0, "\(verified.errors)")
        refused(.refused, .init(home: environment.home, only: ["nothing-like-it"]))
    }

    @Test func aDamagedPageIsStoredAndNamed() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(
            scratch, "home", ["--methods", "btree,hash", "--page-size", "4096", "--checksum"])
        let file = try #require(
            try EnvironmentLayout.find(.init(home: environment.home)).list().databases.first)
        let handle = try #require(FileHandle(forUpdatingAtPath: file.path))
        try handle.seek(toOffset: 2 * 4096 + 1000)
        let byte = try #require(try handle.read(upToCount: 1))
        try handle.seek(toOffset: 2 * 4096 + 1000)
        try handle.write(contentsOf: Data([byte[0] ^ 0x40]))
        try handle.close()
        let (sink, summary) = try capture(.init(home: environment.home))
        #expect(summary.warnings.map(\.code) == ["page-checksum"])
        #expect(summary.warnings.first?.page == 2)
        #expect(summary.warnings.first?.path == file.restored)
        #expect(summary.warnings.first?.taints == true)
        #expect(sink[file.restored]?.bytes[2 * 4096 + 1000] == byte[0] ^ 0x40)
    }

    @Test func directoriesWithoutAnEnvironmentSayWhatTheyAre() throws {
        let scratch = try Scratch()
        let empty = try scratch.make("empty")
        #expect(
            refused(.noEnvironment, .init(home: empty))?.message
                == "there is no environment: the directory is empty")
        _ = try scratch.make("java")
        try scratch.write("java/00000000.jdb", "x")
        #expect(
            refused(.noEnvironment, .init(home: Path.join(scratch.path, "java")))?.hint?.contains("C library")
                == true)
        _ = try scratch.make("other")
        try scratch.write("other/file", "x")
        refused(.noEnvironment, .init(home: Path.join(scratch.path, "other")))
    }

    @Test func anEnvironmentInUseIsRefused() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        let ready = Path.join(scratch.path, "ready")
        let (process, _, _) = try Tool.start(
            Tool.ours("bdb-workload"),
            ["run", "--home", home, "--seconds", "30", "--records", "100", "--ready", ready])
        defer {
            process.terminate()
            process.waitUntilExit()
        }
        try waitFor(ready)
        let error = refused(.refused, .init(home: home))
        #expect(error?.message.contains("in use: process \(process.processIdentifier)") == true)
    }

    @Test(arguments: [[], ["--register", "--recover"]])
    func aKilledApplicationsEnvironmentNeedsRecovery(_ options: [String]) throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        let ready = Path.join(scratch.path, "ready")
        let (process, _, _) = try Tool.start(
            Tool.ours("bdb-workload"),
            ["run", "--home", home, "--seconds", "30", "--records", "100", "--ready", ready] + options)
        try waitFor(ready)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        refused(.needsRecovery, .init(home: home))
        #expect(try Tool.run("/usr/bin/db5.3_recover", ["-h", home]).status == 0)
        if options.isEmpty {
            let (sink, _) = try capture(.init(home: home))
            let finished = try TestEnvironment.check(sink, in: scratch)
            #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
        }
    }

    /// Of an application that was killed long after its last checkpoint, with the regions thrown away.
    @Test func missingLogsAreRefusedEachInItsWay() throws {
        let scratch = try Scratch()
        let home = try killedEnvironment(
            scratch, ["--records", "500", "--log-size", "200000", "--checkpoint-ms", "100000"])
        let numbers = try LogKeeper.numbers(in: home)
        try #require(numbers.count >= 4)
        func log(_ number: UInt32) -> String {
            let digits = String(number)
            return Path.join(home, "log." + String(repeating: "0", count: 10 - digits.count) + digits)
        }
        let away = Path.join(scratch.path, "away")
        func without(_ number: UInt32) throws -> VarveError? {
            try Directory.rename(log(number), to: away)
            defer { rename(away, log(number)) }
            return refused(.missingLog, .init(home: home))
        }
        let gap = try without(numbers[numbers.count - 2])
        #expect(gap?.message.contains("gap") == true)
        let (sink, summary) = try capture(.init(home: home))
        let recovery = try #require(summary.recovery)
        #expect(recovery.lastLog - recovery.firstLog >= 2)
        _ = try without(recovery.firstLog)
        let finished = try TestEnvironment.check(sink, in: scratch)
        #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
    }

    /// A page that was logged tells that there were logs once, and that recovery needs them.
    @Test func logsThatAreAllMissingAreMissed() throws {
        let scratch = try Scratch()
        let home = try killedEnvironment(scratch, ["--records", "500", "--checkpoint-ms", "100"])
        for name in try Directory.list(home) where name.hasPrefix("log.") {
            try Directory.removeFile(Path.join(home, name))
        }
        expect(.notTransactional) { try capture(.init(home: home)) }
    }

    private func killedEnvironment(_ scratch: Scratch, _ options: [String]) throws -> String {
        let home = try scratch.make("home")
        let ready = Path.join(scratch.path, "ready")
        let (process, _, _) = try Tool.start(
            Tool.ours("bdb-workload"), ["run", "--home", home, "--seconds", "30", "--ready", ready] + options)
        try waitFor(ready)
        usleep(500_000)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        for name in try Directory.list(home) where name.hasPrefix("__db.0") {
            try Directory.removeFile(Path.join(home, name))
        }
        return home
    }

    /// Recovery of such a backup returns 0 and loses data: only the proof stands against it.
    @Test func aWithheldLastLogFailsTheProof() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch, "home", ["--log-size", "200000"])
        let last = try #require(try LogKeeper.numbers(in: environment.home).last)
        let digits = String(last)
        try Directory.removeFile(
            Path.join(environment.home, "log." + String(repeating: "0", count: 10 - digits.count) + digits))
        let sink = KeepingSink()
        let error = expect(.refused) { try OfflineSource(.init(home: environment.home)).capture(into: sink) }
        #expect(error?.message.contains("past the end of the log") == true)
    }

    @Test func aChangeDuringTheCaptureIsRefused() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        let sink = KeepingSink()
        sink.onBegin = { file in
            if file.kind == .log {
                try scratch.write("home/DB_CONFIG", "# new\n")
            }
        }
        let error = expect(.refused) { try OfflineSource(.init(home: environment.home)).capture(into: sink) }
        #expect(error?.message.contains("DB_CONFIG has changed") == true)
    }

    private func waitFor(_ path: String) throws {
        for _ in 0..<1000 {
            if FileManager.default.fileExists(atPath: path) { return }
            usleep(10_000)
        }
        throw VarveError(.invalid, "\(path) did not appear")
    }
}
