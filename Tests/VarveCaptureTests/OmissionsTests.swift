import Foundation
import Testing
import VarveCapture
import VarveFiles
import VarveFormat
import VarveTestSupport

/// What is in the environment's directories and not in the backup is named, once.
@Suite(.serialized) struct OmissionsTests {
    private func capture(_ options: EnvironmentOptions) throws -> (KeepingSink, CaptureSummary) {
        let sink = KeepingSink()
        return (sink, try OfflineSource(options).capture(into: sink))
    }

    private func link(_ path: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
    }

    @Test func whatIsNoDatabaseIsListed() throws {
        let scratch = try Scratch()
        let home = try TestEnvironment(scratch, "home", ["--subdir", "--remove-regions"]).home
        // Nothing but the databases: there is nothing to say.
        #expect(try capture(.init(home: home)).1.environment?.omitted == nil)
        for name in ["notes", "hooks/start", "hooks/old/stop", "sub/readme", "format"] {
            _ = try scratch.make(Path.parent("home/" + name))
            try scratch.write("home/" + name, "text")
        }
        for name in ["empty", ".varve/logs"] { _ = try scratch.make("home/" + name) }
        try link(home + "/gone", to: "/nonexistent")
        try link(home + "/up", to: "..")
        try link(home + "/text", to: "notes")
        #expect(mkfifo(home + "/pipe", 0o600) == 0)
        try FileManager.default.copyItem(
            atPath: home + "/log.0000000001", toPath: home + "/sub/log.0000000001")
        let omitted = try #require(try capture(.init(home: home)).1.environment?.omitted)
        #expect(
            omitted.entries.map { "\($0.path) \($0.kind)" } == [
                "empty directory", "gone link", "hooks directory", "notes file", "pipe special",
                "sub/log.0000000001 file", "sub/readme file", "text link", "up link",
            ])
        #expect(omitted.count == 9)
    }

    @Test func beyondALimitTheyAreCounted() throws {
        let scratch = try Scratch()
        let home = try TestEnvironment(scratch).home
        for number in 0..<1234 { try Data().write(to: URL(fileURLWithPath: "\(home)/x\(number)")) }
        let omitted = try #require(try capture(.init(home: home)).1.environment?.omitted)
        #expect(omitted.count == 1234 && omitted.entries.count == 1000)
    }

    @Test func whatWasNotAskedForIsListed() throws {
        let scratch = try Scratch()
        let home = try TestEnvironment(scratch, "home", ["--methods", "btree,hash,queue"]).home
        let (_, summary) = try capture(.init(home: home, only: ["hash2.db"]))
        let entries = summary.environment?.omitted?.entries ?? []
        #expect(entries.map { "\($0.path) \($0.kind)" } == ["btree1.db database", "queue3.db database"])
    }

    /// As `--bdb REPOSITORY` of Subversion, whose environment is in `db`.
    @Test func theHomeIsADirectoryFurtherDown() throws {
        let scratch = try Scratch()
        let inner = try TestEnvironment(scratch, "repository/db").home
        try scratch.write("repository/format", "5\n")
        let outer = Path.join(scratch.path, "repository")
        let error = expect(.noEnvironment) { try capture(.init(home: outer)) }
        #expect(error?.hint == "did you mean \(try Path.resolve(inner))?")
        #expect(try Directory.list(outer).sorted() == ["db", "format"])
        // Control: it is one.
        #expect(try capture(.init(home: inner)).1.recovery != nil)
    }

    /// Copies of an environment in a directory have the same uids: what is wrong is the directory.
    @Test func severalEnvironmentsAreInTheDirectory() throws {
        let scratch = try Scratch()
        let first = try TestEnvironment(scratch, "all/first", ["--remove-regions"]).home
        try FileManager.default.copyItem(atPath: first, toPath: Path.join(scratch.path, "all/second"))
        let error = expect(.noEnvironment) { try capture(.init(home: Path.join(scratch.path, "all"))) }
        for name in ["first", "second"] { #expect(error?.hint?.contains("/all/\(name)?") == true) }
        // Regions further down are not the directory's own.
        _ = try scratch.make("all/third")
        try scratch.write("all/third/__db.001", "regions")
        #expect(
            expect(.noEnvironment) { try capture(.init(home: Path.join(scratch.path, "all"))) }?.hint
                == error?.hint)
        // Control: in an environment they are refused for what they are.
        let home = try TestEnvironment(scratch, "home").home
        for name in ["a", "b"] {
            let path = Path.join(home, name)
            try FileManager.default.copyItem(atPath: Path.join(first, "btree1.db"), toPath: path)
        }
        #expect(expect(.refused) { try capture(.init(home: home)) }?.message.contains("same uid") == true)
    }

    @Test func theLogsAreInADirectoryThatOnlyTheApplicationKnows() throws {
        let scratch = try Scratch()
        _ = try scratch.make("home/logs")
        let options = ["--log-dir", "logs", "--dirs-in-code", "--remove-regions"]
        let home = try TestEnvironment(scratch, "home", options).home
        let error = expect(.noEnvironment) { try capture(.init(home: home)) }
        #expect(error?.hint?.hasSuffix("name that directory with --log-dir") == true)
        #expect(try capture(.init(home: home, logDirectory: "logs")).1.recovery != nil)
    }

    /// Its databases have other logs: with those of this one they could not be recovered.
    @Test func anotherEnvironmentInTheHomeIsNotTakenForAPartOfIt() throws {
        let scratch = try Scratch()
        let home = try TestEnvironment(scratch).home
        _ = try TestEnvironment(scratch, "home/inner", ["--seed", "2"])
        let (sink, summary) = try capture(.init(home: home))
        #expect(sink.paths.allSatisfy { !$0.hasPrefix("inner/") })
        #expect(summary.warnings.map(\.code) == ["inner-environment"])
        #expect(summary.environment?.omitted?.entries == [.init(path: "inner", kind: "environment")])
        let finished = try TestEnvironment.check(sink, in: scratch)
        #expect(finished.status == 0, "\(finished.output)\(finished.errors)")
        // Control: a data directory of this environment is a part of it, whatever lies in it.
        let listing = try EnvironmentLayout.find(.init(home: home, dataDirectories: ["inner"])).list()
        #expect(listing.databases.contains { $0.restored.hasPrefix("inner/") } && listing.innerHomes.isEmpty)
    }

    @Test func aLongNameOutsideOfTheHomeFitsWhereItIsRestored() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        let names = [String(repeating: "d", count: 255), String(repeating: "é", count: 127) + "x"]
        for name in names { _ = try scratch.make(name) }
        let layout = try EnvironmentLayout.find(
            .init(home: home, dataDirectories: names.map { "../" + $0 }))
        let places = layout.dataDirectories.map(\.directory.restored)
        #expect(Set(places).count == 2)
        #expect(places.allSatisfy { (251...255).contains(Path.name($0).utf8.count) })
    }
}
