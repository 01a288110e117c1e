import Testing
import VarveCapture
import VarveFiles
import VarveFormat
import VarveOperations
import VarveStorage
import VarveTestSupport

@testable import VarveCopies
@testable import VarveRepository
@testable import VarveUpkeep

/// A source is what a person means by an environment: a name that outlives hosts and homes.
@Suite struct SourceTests {
    private let bench: CopyBench

    init() throws { bench = try CopyBench(copies: 2) }

    @discardableResult
    private func backup(
        _ home: String = "/srv/a", as name: String? = nil, files: [ListedFile]? = nil
    ) throws -> Archiver.Report {
        let copies = try bench.copies()
        return try Archiver(repository: copies.named, copies: copies).backup(
            ListedFiles.environment(files ?? bench.files(1), home: home), tool: "test", as: name)
    }

    /// A snapshot as another host would have taken it; without the key, as 0.1.0 wrote it.
    private func publish(_ sequence: UInt64, host: String, home: String, source: String? = nil) throws {
        let here = Manifest.Environment.PlacedDirectory(original: ".", restored: ".", configured: true)
        let repository = try bench.repository("a")
        _ = try repository.manifests.publish(
            Manifest(
                repository: repository.id.description, sequence: sequence, previous: nil, tool: "test",
                host: host, started: Clock.now(), finished: Clock.now(),
                environment: Manifest.Environment(
                    home: home, mode: .offline, envid: nil, dataDirectories: [here], logDirectory: here,
                    encrypted: false, registered: false, only: nil),
                recovery: nil, files: [], directories: [], warnings: [], statistics: .init(), source: source))
    }

    private func names() throws -> [String] { try bench.repository("a").sources().facts.map(\.name) }
    private func registry() throws -> SourceRegistry { SourceRegistry(try bench.copies(), tool: "test") }
    private func ordinary(_ home: String) -> String { SourceName.ordinary(host: Host.name, home: home) }

    private func name(
        _ given: String? = nil, _ remembered: (name: String, home: String)? = nil, host: String = "here",
        home: String = "/srv/a"
    ) throws -> String {
        try bench.repository("a").sources().name(
            given: given, remembered: remembered.map { RememberedSource(name: $0.name, home: $0.home) },
            host: host, home: home
        ).name
    }

    @Test func latestIsOfOneSource() throws {
        let first = try backup("/srv/a").snapshot
        let repository = try bench.repository("a")
        #expect(try repository.find("latest") == first)
        let second = try backup("/srv/b").snapshot
        let error = expect(.invalid) { try repository.find("latest") }
        for home in ["/srv/a", "/srv/b"] { #expect(error?.hint?.contains(ordinary(home)) == true) }
        #expect(try repository.find("latest", source: ordinary("/srv/a")) == first)
        #expect(try repository.find("latest", source: ordinary("/srv/b")) == second)
        expect(.missing) { try repository.find("latest", source: "/srv/a") }
        // By its number a snapshot needs no source, but must be of the one that is named.
        #expect(
            try repository.find("1") == first && repository.find("1", source: ordinary("/srv/a")) == first)
        expect(.invalid) { try repository.find("1", source: ordinary("/srv/b")) }
        // An archived one is not meant.
        _ = try registry().archive(ordinary("/srv/a"))
        #expect(try repository.find("latest") == second)
        #expect(try repository.find("latest", source: ordinary("/srv/a")) == first)
    }

    /// Each backup of one is compared with its own, whatever the host is called.
    @Test func whoseNameItIs() throws {
        // 0.1.0 belongs to host and home.
        try publish(1, host: "old", home: "/srv/a")
        #expect(try names() == ["old:/srv/a"])
        #expect(try name(host: "old") == "old:/srv/a")
        // Another host: a source of its own, unless the environment remembers.
        #expect(try name() == "here:/srv/a")
        #expect(try name(nil, ("old:/srv/a", "/srv/a")) == "old:/srv/a")
        // A clone under another home is a new one.
        #expect(try name(nil, ("old:/srv/a", "/srv/a"), home: "/srv/clone") == "here:/srv/clone")
        // And so is one whose owner claims the name of another home's snapshots.
        #expect(try name(nil, ("old:/srv/a", "/srv/evil"), home: "/srv/evil") == "here:/srv/evil")
        #expect(try name(nil, ("a\u{1B}[2J", "/srv/a")) == "here:/srv/a")
        // What a person says holds, and is found again without the file: made anew, restored in place.
        #expect(try name("wallet") == "wallet")
        try publish(2, host: "here", home: "/srv/a", source: "wallet")
        #expect(try name() == "wallet")
        // Another repository has given it another name: here it stays what it is, and where it is new it has that name.
        #expect(try name(nil, ("prod", "/srv/a")) == "wallet")
        let here = try bench.repository("a").sources().name(
            given: nil, remembered: RememberedSource(name: "prod", home: "/srv/a"), host: "here",
            home: "/srv/a")
        #expect(here.isOnlyHere)
        #expect(try name(nil, ("prod", "/srv/a"), host: "third") == "prod")
        let other = try bench.repository("a").sources().name(
            given: "new", remembered: nil, host: "here", home: "/srv/a")
        #expect(other.name == "new" && other.earlierName == "wallet")
        _ = try registry().rename("wallet", to: "purse")
        #expect(try name() == "purse" && name("wallet") == "purse")
        #expect(try name(nil, ("wallet", "/srv/a")) == "purse")
    }

    @Test func renamedAndMerged() throws {
        try publish(1, host: "old", home: "/srv/a")
        try publish(2, host: "new", home: "/srv/a")
        let repository = try bench.repository("a")
        expect(.invalid) { try repository.find("latest") }
        let outcome = try registry().rename("old:/srv/a", to: "new:/srv/a")
        #expect(outcome.merged && outcome.unheard.isEmpty && outcome.events.count == 1)
        #expect(try names() == ["new:/srv/a"])
        #expect(try repository.find("latest").sequence == 2)
        #expect(try repository.find("latest", source: "old:/srv/a").sequence == 2)
        // Back again: only the name.
        _ = try registry().rename("new:/srv/a", to: "old:/srv/a")
        #expect(try names() == ["old:/srv/a"])
        expect(.missing) { try registry().rename("nobody", to: "x") }
        for name in ["", "-x", " x", "a\nb", "a\u{202E}b", String(repeating: "x", count: 5000)] {
            expect(.invalid) { try registry().rename("old:/srv/a", to: name) }
        }
        // Numbers are of one series: an event and a snapshot never have the same.
        #expect(try backup("/srv/c").snapshot.sequence == 5)
        #expect(try Verifier(repository).verifyContent().isGood)
    }

    @Test func archivedEndsTheComplaints() throws {
        try backup("/srv/a")
        try backup("/srv/b")
        for label in ["a", "b"] { _ = try Verifier(try bench.repository(label)).verifyMedia() }
        var policy = RepositoryStatus.Policy()
        policy.maximumAge = 60
        var now = Clock.now()
        now.seconds += 3600
        func problems() throws -> [String] {
            try RepositoryStatus(try bench.copies(), policy: policy, now: now).problems
        }
        #expect(try problems().count == 2)
        let before = try bench.objects("a")
        _ = try registry().archive(ordinary("/srv/a"))
        let left = try problems()
        #expect(left.count == 1 && left[0].contains("/srv/b"), "\(left)")
        #expect(try bench.objects("a") == before)
        _ = try registry().archive(ordinary("/srv/a"), undo: true)
        #expect(try problems().count == 2)
        _ = try registry().archive(ordinary("/srv/a"))
        // One that is backed up again is not at rest any more.
        try backup("/srv/a")
        #expect(try problems().count == 2)
        #expect(try bench.repository("a").sources().facts.allSatisfy { !$0.isArchived })
    }

    /// Events reach every copy, those that were away at their next sync; separate ones are merged.
    @Test func everyCopyHears() throws {
        try backup("/srv/a")
        _ = try registry().rename(ordinary("/srv/a"), to: "x")
        for label in ["a", "b"] { #expect(try bench.repository(label).sources().facts.map(\.name) == ["x"]) }
        try bench.move("b", to: "away")
        let outcome = try registry().rename("x", to: "y")
        #expect(outcome.unheard.map(\.label) == ["b"])
        try bench.move("a", to: "hidden")
        try bench.move("away", to: "b")
        _ = try SourceRegistry(try bench.copies(from: "b"), tool: "test").archive("x")
        try bench.move("hidden", to: "a")
        #expect(try bench.copies().find("b").lacking == 1)
        for label in ["b", "a"] { #expect(try bench.synchronize(label).isComplete) }
        for label in ["a", "b"] {
            let facts = try bench.repository(label).sources().facts
            #expect(facts.map(\.name) == ["y"] && facts[0].isArchived, "\(facts)")
            #expect(try bench.repository(label).events.list().count == 3)
            #expect(try Verifier(try bench.repository(label)).verifyMedia().isGood)
        }
        // Damaged, one comes back from the other copy; until then nothing but a name is lost.
        let event = try #require(try bench.repository("a").events.list().first)
        try bench.damage("a", "events/\(event.name)", .flip)
        #expect(try names().count == 1)
        #expect(try !Verifier(try bench.repository("a")).verifyMedia().isGood)
        #expect(try bench.heal("a").isHealthy)
        #expect(try bench.repository("a").events.catalog().current(ordinary("/srv/a")) == "y")
    }

    private func renames(_ pairs: [(String, String)]) -> SourceCatalog {
        SourceCatalog(
            pairs.enumerated().map { number, pair in
                let reference = SnapshotReference(sequence: UInt64(number) + 1, hash: .zero)
                let event = Event(
                    repository: "", sequence: reference.sequence, previous: [], kind: .renameSource,
                    time: Clock.now(), host: "", tool: "", rename: .init(from: pair.0, to: pair.1))
                return (reference: reference, event: event)
            })
    }

    /// The catalog against what the words say: whatever means `from` by then means `to`, and `to` means itself.
    @Test func anyRenamesInAnyOrder() {
        var random = SeededRandom()
        let names = ["a", "b", "c", "d", "e"]
        for _ in 0..<300 {
            var meanings: [String: String] = [:]
            var pairs: [(String, String)] = []
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let from = names.randomElement(using: &random) ?? "a"
                let to = names.randomElement(using: &random) ?? "a"
                pairs.append((from, to))
                let old = meanings[from] ?? from
                if old == to { continue }
                for (name, meaning) in meanings where meaning == old { meanings[name] = to }
                meanings[old] = to
                meanings[to] = to
            }
            let catalog = renames(pairs)
            for name in names {
                #expect(
                    catalog.current(name) == meanings[name] ?? name, "\(name) of \(pairs), \(random.seed)")
            }
        }
        // As many as a hostile disk may hold cost little.
        let started = Clock.monotonic()
        let many = renames((0..<20_000).map { ("\($0)", "\($0 + 1)") } + [("x", "0"), ("0", "end")])
        #expect(many.current("7") == "20000" && many.current("x") == "end")
        #expect(Clock.monotonic() - started < 20_000_000_000)
    }

    /// `.varve/source` is its owner's: nothing else is believed, and nothing else is written to.
    @Test func whatTheFileSays() throws {
        let home = bench.path("home")
        try Directory.create(home)
        var source = ListedFiles.environment(bench.files(1), home: home)
        #expect(source.rememberedSource() == nil && !source.remember(RememberedSource(name: "x", home: home)))
        try Directory.create(Path.join(home, ".varve"))
        #expect(source.remember(RememberedSource(name: "x", home: home)))
        #expect(source.rememberedSource() == RememberedSource(name: "x", home: home))
        #expect(try Directory.list(Path.join(home, ".varve")) == ["source"])
        // A link in its place is passed over, and replaced by what is remembered next; what it led to is untouched.
        let file = Path.join(home, ".varve/source")
        let secret = bench.path("secret")
        try Bytes.write(try RememberedSource(name: "stolen", home: home).encoded(), to: secret)
        let before = try Bytes.read(secret)
        for make in ["link", "fifo", "directory", "garbage"] {
            try? Directory.removeFile(file)
            switch make {
            case "link": try FileKind.symbolicLink(file, to: secret)
            case "fifo": try FileKind.fifo(file)
            case "directory": try Directory.create(file)
            default: try Bytes.write([UInt8](repeating: 0x41, count: 100_000), to: file)
            }
            #expect(source.rememberedSource() == nil, "\(make)")
            #expect(
                source.remember(RememberedSource(name: "y", home: home)) == (make != "directory"), "\(make)")
            #expect(try Bytes.read(secret) == before)
            if make == "directory" { try Directory.removeEmpty(file) }
        }
        // The directory itself may be a link, too.
        try Directory.rename(Path.join(home, ".varve"), to: bench.path("elsewhere"))
        try FileKind.symbolicLink(Path.join(home, ".varve"), to: bench.path("elsewhere"))
        #expect(source.rememberedSource() == nil && !source.remember(RememberedSource(name: "z", home: home)))
        source.home = nil
        #expect(source.rememberedSource() == nil)
    }
}
