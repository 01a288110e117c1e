import Foundation
import Testing
import VarveCapture
import VarveFiles
import VarveFormat
import VarveTestSupport

@Suite struct EnvironmentLayoutTests {
    private func restored(_ layout: EnvironmentLayout) -> [String] {
        (layout.dataDirectories + [layout.logDirectory]).map(\.directory.restored)
    }

    @Test func aBareHomeIsItsOwnLogDirectory() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        let layout = try EnvironmentLayout.find(.init(home: home))
        #expect(layout.dataDirectories.isEmpty)
        #expect(layout.logDirectory.path == layout.home)
        #expect(layout.logDirectory.directory.restored == ".")
    }

    @Test func relativeDirectoriesKeepTheirPlace() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        for name in ["data", "more/deep", "logs"] { _ = try scratch.make("home/" + name) }
        try scratch.write("home/DB_CONFIG", "set_data_dir data\nadd_data_dir ./more//deep\nset_lg_dir logs\n")
        let layout = try EnvironmentLayout.find(.init(home: home))
        #expect(restored(layout) == ["data", "more/deep", "logs"])
        #expect(layout.dataDirectories.map(\.directory.configured) == [true, true])
        #expect(layout.dataDirectories.map(\.directory.original) == ["data", "./more//deep"])
    }

    @Test func outsideDirectoriesGetPlacesOfTheirOwn() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        let first = try scratch.make("one/data")
        _ = try scratch.make("two/data/inner")
        _ = try scratch.make("home/inside")
        let layout = try EnvironmentLayout.find(
            .init(
                home: home,
                dataDirectories: [
                    first, "../two/data/inner", "../two/data", Path.join(home, "inside"), "../home/inside",
                ],
                logDirectory: "../one/data"))
        let places = restored(layout)
        #expect(
            places == [
                "external/0-data", "external/2-data/inner", "external/2-data", "inside", "inside",
                "external/0-data",
            ])
        #expect(places.allSatisfy { !$0.hasPrefix("/") && !$0.split(separator: "/").contains("..") })
    }

    @Test func aHomeWithADirectoryCalledExternalDoesNotCollide() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        _ = try scratch.make("home/external")
        _ = try scratch.make("away")
        let layout = try EnvironmentLayout.find(.init(home: home, dataDirectories: ["../away", "external"]))
        #expect(restored(layout) == ["external-2/0-away", "external", "."])
    }

    @Test func aLinkedDirectoryKeepsItsNameInTheHome() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        let away = try scratch.make("fast-disk")
        try FileManager.default.createSymbolicLink(atPath: home + "/data", withDestinationPath: away)
        let layout = try EnvironmentLayout.find(.init(home: home, dataDirectories: ["data"]))
        #expect(restored(layout) == ["data", "."])
        #expect(layout.dataDirectories[0].path.hasSuffix("/fast-disk"))
    }

    @Test func missingDirectoriesAndContradictionsAreRefused() throws {
        let scratch = try Scratch()
        let home = try scratch.make("home")
        _ = try scratch.make("home/logs")
        let missing = expect(.refused) {
            try EnvironmentLayout.find(.init(home: home, dataDirectories: ["gone"]))
        }
        #expect(missing?.message == "the environment's data directory gone is not there")
        expect(.wrongLogDirectory) { try EnvironmentLayout.find(.init(home: home, logDirectory: "gone")) }
        try scratch.write("home/DB_CONFIG", "set_lg_dir logs\n")
        expect(.wrongLogDirectory) { try EnvironmentLayout.find(.init(home: home, logDirectory: ".")) }
        #expect(
            try EnvironmentLayout.find(.init(home: home, logDirectory: "./logs")).logDirectory.directory
                .configured)
        expect(.noEnvironment) { try EnvironmentLayout.find(.init(home: home + "/DB_CONFIG")) }
        expect(.noEnvironment) { try EnvironmentLayout.find(.init(home: home + "/x")) }
    }
}

@Suite(.serialized) struct EnvironmentListingTests {
    @Test func findsDatabasesExtentsAndPartitionsAndNothingElse() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(
            scratch, "home", ["--methods", "btree,hash,queue", "--queue-extent", "4", "--subdir"])
        let home = environment.home
        try scratch.write("home/notes.txt", "not a database")
        try scratch.write("home/format", "8\n")
        mkfifo(home + "/pipe", 0o600)
        _ = try scratch.make("home/.varve/logs")
        try FileManager.default.copyItem(
            atPath: home + "/__db.001", toPath: home + "/.varve/logs/x.db")
        let listing = try EnvironmentLayout.find(.init(home: home)).list()
        #expect(listing.configurations.map(\.restored).contains("format"))
        let names = listing.databases.map(\.restored)
        #expect(names.contains { $0.contains("/__dbq.") })
        #expect(!names.contains { Path.name($0).hasPrefix("__db.0") || Path.name($0).hasPrefix("log.") })
        let extents = listing.databases.filter { $0.owner != nil }
        #expect(!extents.isEmpty)
        let queue = try #require(extents.first?.owner)
        let only = try listing.selecting([queue])
        #expect(only.databases.allSatisfy { $0.restored == queue || $0.owner == queue })
        #expect(only.databases.count == extents.count + 1)
    }

    @Test func aDatabaseMayBeCalledLikeALogOrARegion() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        let layout = try EnvironmentLayout.find(.init(home: environment.home))
        let first = try #require(try layout.list().databases.first)
        try FileManager.default.moveItem(atPath: first.path, toPath: Path.join(environment.home, "log.db"))
        #expect(try layout.list().databases.map(\.restored).contains("log.db"))
        try FileManager.default.moveItem(
            atPath: Path.join(environment.home, "log.db"), toPath: Path.join(environment.home, "__dbx"))
        #expect(try layout.list().databases.map(\.restored).contains("__dbx"))
    }

    /// As configuration it would be copied without libdb, and torn.
    @Test(arguments: ["format", "fs-type", "DBVERSION", "DB_CONFIG.db"])
    func aDatabaseMayBeCalledLikeConfiguration(_ name: String) throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        try Directory.rename(
            Path.join(environment.home, "btree1.db"), to: Path.join(environment.home, name))
        let listing = try EnvironmentLayout.find(.init(home: environment.home)).list()
        #expect(listing.databases.map(\.restored).contains(name) && listing.configurations.isEmpty)
    }

    @Test func anUnknownNameIsRefusedWithTheNearestOnes() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        let listing = try EnvironmentLayout.find(.init(home: environment.home)).list()
        let name = try #require(listing.databases.first?.restored)
        let error = expect(.refused) { try listing.selecting([name + "x"]) }
        #expect(error?.hint?.contains(name) == true)
    }

    @Test func twoFilesWithOneUidAreRefusedAndALinkIsNot() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        let layout = try EnvironmentLayout.find(.init(home: environment.home))
        let first = try #require(try layout.list().databases.first)
        let link = Path.join(environment.home, "a-link.db")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: first.path)
        let linked = try layout.list()
        #expect(linked.aliases.map(\.stored) == [first.path])
        #expect(linked.databases.contains { $0.path == first.path })
        #expect(!linked.databases.contains { $0.path == link })
        let copy = Path.join(environment.home, "copy.db")
        try FileManager.default.copyItem(atPath: first.path, toPath: copy)
        let error = expect(.refused) { try layout.list() }
        #expect(error?.message.contains(copy) == true)
        #expect(error?.message.contains(first.path) == true)
    }

    @Test func linksThatLeadInCirclesOrUpwardsEnd() throws {
        let scratch = try Scratch()
        let environment = try TestEnvironment(scratch)
        let home = environment.home
        try FileManager.default.createSymbolicLink(atPath: home + "/self", withDestinationPath: home)
        try FileManager.default.createSymbolicLink(atPath: home + "/up", withDestinationPath: "/")
        try FileManager.default.createSymbolicLink(
            atPath: home + "/gone", withDestinationPath: "/nonexistent")
        let listing = try EnvironmentLayout.find(.init(home: home)).list()
        #expect(listing.databases.count == 2)
    }
}
