import Testing
import VarveFiles
import VarveFormat
import VarveRepository
import VarveTestSupport

@testable import VarveOperations

/// Where the directories of an environment go, decided without input or output.
@Suite struct RestorePlacesTests {
    private typealias Directory = Manifest.Environment.PlacedDirectory

    private static func environment(
        _ home: String, data: [(String, String, Bool)] = [], log: (String, String, Bool) = (".", ".", false)
    ) -> Manifest.Environment {
        Manifest.Environment(
            home: home, mode: .offline, envid: nil,
            dataDirectories: data.map { Directory(original: $0.0, restored: $0.1, configured: $0.2) },
            logDirectory: Directory(original: log.0, restored: log.1, configured: log.2), encrypted: false,
            registered: false, only: nil)
    }

    private static func plan(
        _ environment: Manifest.Environment, target: String, configuration: String? = nil,
        names: [String] = [], options: RestorePlan.Options = .init()
    ) throws -> RestorePlan {
        let attributes = Manifest.Attributes(mode: 0o600, user: 0, group: 0, modified: Timestamp(seconds: 0))
        let log = Manifest.Log(
            number: 1, validLength: 100, firstLSN: LSN(file: 1, offset: 28),
            lastLSN: LSN(file: 1, offset: 90),
            absoluteNames: names)
        let manifest = Manifest(
            repository: TestRepository.id.description, sequence: 1, previous: nil, tool: "test", host: "test",
            started: Timestamp(seconds: 0), finished: Timestamp(seconds: 0), environment: environment,
            recovery: nil,
            files: [
                Manifest.StoredFile(
                    path: "log.0000000001", kind: .log, size: 100, attributes: attributes,
                    map: ContentID.zero.hex, database: nil, log: log)
            ], directories: [.init(path: ".", attributes: attributes)], warnings: [],
            statistics: Manifest.Statistics())
        return try RestorePlan(
            manifest, reference: SnapshotReference(sequence: 1, hash: .zero), target: target,
            configuration: configuration.map { Array($0.utf8) }, options: options)
    }

    private static let outside = environment(
        "/env", data: [("/srv/data", "external/0-data", true)], log: ("/srv/logs", "external/1-logs", true))
    private static let configuration = """
        # the application's
        set_cachesize 0 1000000 1
        set_data_dir /srv/data
        set_create_dir /srv/data
        set_lg_dir\t/srv/logs
        set_tmp_dir /var/tmp

        """

    @Test func elsewhereTheyAreBeneathTheTarget() throws {
        let plan = try Self.plan(Self.outside, target: "/new", configuration: Self.configuration)
        #expect(plan.places.map(\.from) == ["/env", "/srv/data", "/srv/logs"])
        #expect(plan.places.map(\.to) == ["/new", "/new/external/0-data", "/new/external/1-logs"])
        #expect(
            plan.configuration == """
                # the application's
                set_cachesize 0 1000000 1
                set_data_dir external/0-data
                set_create_dir external/0-data
                set_lg_dir external/1-logs
                set_tmp_dir /var/tmp

                """)
        #expect(plan.settings == [] && plan.plainRecoveryFails == nil)
    }

    @Test func inPlaceNothingIsChanged() throws {
        let plan = try Self.plan(
            Self.outside, target: "/env", configuration: Self.configuration, options: .init(inPlace: true))
        #expect(plan.places.map(\.to) == ["/env", "/srv/data", "/srv/logs"])
        #expect(plan.places.map(\.isOutside) == [false, true, true])
        #expect(plan.configuration == nil && plan.settings == [] && plan.plainRecoveryFails == nil)
    }

    @Test func oneOfThemIsMapped() throws {
        let plan = try Self.plan(
            Self.outside, target: "/env", configuration: Self.configuration,
            options: .init(map: ["/srv/logs": "/fast/logs"]))
        #expect(plan.places.map(\.to) == ["/env", "/env/external/0-data", "/fast/logs"])
        #expect(plan.configuration?.contains("set_lg_dir /fast/logs\n") == true)
        #expect(plan.configuration?.contains("set_data_dir external/0-data\n") == true)
        let error = expect(.invalid) {
            _ = try Self.plan(Self.outside, target: "/env", options: .init(map: ["/srv/other": "/x"]))
        }
        #expect(error?.hint?.contains("/srv/logs") == true)
        // The home's own directory is the target's business.
        expect(.invalid) {
            _ = try Self.plan(Self.outside, target: "/env", options: .init(map: ["/srv/logs": "/env/logs"]))
        }
    }

    /// `../data` means another directory from another home.
    @Test func aNameThatClimbs() throws {
        let environment = Self.environment("/srv/env", data: [("../data", "external/0-data", true)])
        let text = "set_data_dir ../data\n"
        #expect(
            try Self.plan(environment, target: "/new", configuration: text).configuration
                == "set_data_dir external/0-data\n")
        let back = try Self.plan(
            environment, target: "/srv/env", configuration: text, options: .init(inPlace: true))
        #expect(back.configuration == nil && back.places.last?.to == "/srv/data")
        let beside = try Self.plan(
            environment, target: "/srv/new", configuration: text, options: .init(inPlace: true))
        #expect(beside.configuration == nil && beside.places.last?.to == "/srv/data")
        let far = try Self.plan(
            environment, target: "/a/new", configuration: text, options: .init(inPlace: true))
        #expect(far.configuration == "set_data_dir /srv/data\n")
    }

    /// The application's code sets them: of the logs `DB_CONFIG` can say where they are, of data a person must.
    @Test func directoriesInCode() throws {
        let environment = Self.environment(
            "/env", data: [("/srv/data", "external/0-data", false)],
            log: ("/srv/logs", "external/1-logs", false)
        )
        let plan = try Self.plan(environment, target: "/new")
        #expect(plan.configuration == "set_lg_dir external/1-logs\n")
        #expect(plan.settings.count == 1)
        #expect(plan.settings.first?.contains("/srv/data: it must say /new/external/0-data") == true)
        #expect(plan.plainRecoveryFails != nil)
        let back = try Self.plan(environment, target: "/env", options: .init(inPlace: true))
        #expect(back.configuration == nil && back.settings == [])
        // db_recover does not know of them, wherever they are.
        #expect(back.plainRecoveryFails?.contains("/srv/data") == true)
    }

    @Test func databasesOpenedByAbsoluteNames() throws {
        let environment = Self.environment("/env", data: [("/srv/data", "external/0-data", false)])
        let names = ["/srv/data/a.db", "/srv/data/b.db", "/env/c.db", "/gone/d.db"]
        let plan = try Self.plan(environment, target: "/new", names: names)
        #expect(plan.settings.count == 4)
        #expect(
            plan.settings.contains { $0.contains("/srv/data/a.db") && $0.contains("/new/external/0-data") })
        #expect(plan.settings.contains { $0.contains("/env/c.db") && $0.hasSuffix("is now in /new") })
        #expect(
            plan.settings.contains {
                $0.contains("/gone/d.db") && $0.contains("no directory of the snapshot")
            })
        let back = try Self.plan(
            environment, target: "/env", names: Array(names.prefix(3)), options: .init(inPlace: true))
        #expect(back.settings == [])
    }

    /// A manifest that says nothing of what `DB_CONFIG` names: the logs are where they are, and no line leads out.
    @Test func aConfigurationThatDoesNotFit() throws {
        let plan = try Self.plan(
            Self.environment("/env"), target: "/new",
            configuration: "set_lg_dir /live/logs\nset_data_dir /live/data\nset_data_dir /env\n")
        #expect(plan.configuration == "set_lg_dir .\n# set_data_dir /live/data\nset_data_dir .\n")
    }

    /// What 0.1.0 stored of a directory with a name of 255 bytes could not be restored; nor can `DB_CONFIG` hold it.
    @Test(arguments: [230, 255]) func namesThatGrewTooLong(_ length: Int) throws {
        let name = String(repeating: "d", count: length)
        let plan = try Self.plan(
            Self.environment("/env", data: [("/srv/\(name)", "external/0-\(name)", true)]), target: "/new",
            configuration: "set_data_dir /srv/\(name)\n")
        let place = try #require(plan.places.last)
        #expect(place.restored.hasPrefix("external/0-dddd"))
        #expect(place.restored.split(separator: "/").allSatisfy { $0.utf8.count <= 255 })
        #expect(place.to == "/new/" + place.restored)
        // A line that libdb can't read stays as it is.
        if length == 255 { return }
        let lines = try #require(plan.configuration).split(separator: "\n")
        #expect(lines.contains("set_data_dir \(place.restored)") && lines.allSatisfy { $0.utf8.count <= 255 })
    }

    /// The control of both: what can't be written into `DB_CONFIG` is refused before anything is restored.
    @Test(arguments: ["/" + String(repeating: "n/", count: 130) + "end", "/a\nset_lg_dir /b"])
    func whatNoLineCanHold(_ place: String) throws {
        expect(.invalid) { try Self.mapped(to: place) }
        _ = try Self.mapped(to: "/short")
    }

    /// Libdb's name for a file that a transaction is making is none that an application opens.
    @Test func namesThatNobodyOpens() throws {
        let names = ["/abs/80000001.b43bef4", "/abs/btree1.db"]
        let plan = try Self.plan(
            Self.environment("/env", data: [("/abs", "external/0-abs", false)]), target: "/new", names: names)
        let said = plan.settings.joined(separator: " ")
        #expect(said.contains("/abs/btree1.db") && !said.contains("80000001"), "\(said)")
    }

    @Test func twoDirectoriesInOnePlace() throws {
        let environment = Self.environment(
            "/env", data: [("/srv/a", "external/0-a", true), ("/srv/b", "external/1-b", true)])
        var options = RestorePlan.Options()
        options.map = ["/srv/a": "/new/x", "/srv/b": "/new/x"]
        expect(.invalid) { try Self.plan(environment, target: "/target", options: options) }
    }

    private static func mapped(to place: String) throws -> RestorePlan {
        var options = RestorePlan.Options()
        options.map = ["/srv/data": place]
        return try plan(
            environment("/env", data: [("/srv/data", "external/0-data", true)]), target: "/target",
            options: options)
    }

    // MARK: The place of recovery

    @Test func whileItIsRecoveredEverythingLiesWhereItLay() {
        let layout = RecoveryLayout(Self.outside, configuration: nil, names: [], files: [:])
        #expect(layout.home == "/env")
        #expect(layout.place(of: ".") == "/env" && layout.place(of: "a/b.db") == "/env/a/b.db")
        #expect(layout.place(of: "external/0-data/x.db") == "/srv/data/x.db")
        #expect(layout.moves.map(\.place) == ["/env", "/srv/data", "/srv/logs"])
        #expect(layout.aliases == [] && layout.directories == [])
    }

    /// The home within a data directory, as Cyrus has it.
    @Test func aHomeInADataDirectory() {
        let environment = Self.environment("/imap/db", data: [("/imap", "external/0-imap", false)])
        let layout = RecoveryLayout(environment, configuration: nil, names: [], files: [:])
        #expect(layout.moves.map(\.place) == ["/imap", "/imap/db"])
        #expect(layout.place(of: "external/0-imap/deliver.db") == "/imap/deliver.db")
    }

    /// The logs have a name by way of a link that was at the source: the uid tells what it leads to.
    @Test func anotherNameForTheSameDatabase() {
        let layout = RecoveryLayout(
            Self.outside, configuration: nil,
            names: [
                .init(path: "/link/x.db", uid: "aa"), .init(path: "/stranger/y.db", uid: "bb"),
                .init(path: "/srv/data/z.db", uid: "cc"),
            ], files: ["aa": "external/0-data/x.db"])
        #expect(layout.aliases == [.init(path: "/link", place: "/srv/data")])
        #expect(layout.directories == ["/stranger", "/srv/data"])
    }

    @Test(arguments: ["/", "", "relative", "/..", "/a/../.."]) func hostileHomes(_ home: String) {
        let layout = RecoveryLayout(Self.environment(home), configuration: nil, names: [], files: [:])
        #expect(layout.home == "/varve-home")
    }

    /// What a forged manifest and a forged configuration claim stays in the room.
    @Test func hostilePlaces() {
        let environment = Self.environment(
            "/env",
            data: [
                ("../../../../etc", "external/0-etc", true), ("/", "external/1-root", true),
                ("/env", "x", true),
            ],
            log: ("/env", "external/2-logs", true))
        let layout = RecoveryLayout(environment, configuration: nil, names: [], files: [:])
        #expect(layout.moves.map(\.place) == ["/env", "/etc"])
    }
}

/// What a person reads of a recovery.
@Suite struct RecoveryReportTests {
    private func report(
        end: LSN? = LSN(file: 2, offset: 99), messages: [String] = [], differences: [String] = [],
        missing: [String] = []
    ) -> RecoveryReport {
        RecoveryReport(
            endOfLog: end, recoverableTo: Timestamp(seconds: 0),
            databases: [.init(path: "a.db", isGood: messages.isEmpty, messages: messages)],
            differences: differences, removed: [], missing: missing, isIsolated: true, places: ["/env"])
    }

    @Test func theEndIsTheMeasuredOne() {
        #expect(report().lines.first?.hasPrefix("recovered to [2][99], everything") == true)
        let partial = report(missing: ["b.db"]).lines
        #expect(partial.first?.contains("of the databases that are there, everything") == true)
        #expect(partial.contains { $0.contains("b.db") })
        // Whatever differs, the sentence is not said.
        let lines = report(differences: ["the log ends too early"]).lines
        #expect(lines.allSatisfy { !$0.contains("recovered to") })
        #expect(lines.contains("differs: the log ends too early"))
    }

    /// libdb has a line for each bad page of a database: a terminal gets some of them.
    @Test func whatIsShownOfABadDatabaseIsBounded() {
        let words = (1...3000).map { "page \($0): " + String(repeating: "x", count: 1000) }
        let lines = report(messages: words).lines
        #expect(lines.count <= 8 && lines.allSatisfy { $0.count <= 210 }, "\(lines.count) lines")
        #expect(lines.contains("db_verify fails: a.db") && lines.contains { $0.contains("2995 more") })
        #expect(report(messages: words).databases[0].messages.count == 3000)
    }
}
