import Glibc
import ProcessSupport
import VarveFiles
import VarveFormat
import VarveRepository

/// What was acknowledged at a moment, by exit code 0: it must be there after each later power cut.
struct Acknowledged {
    struct Holding {
        /// Packs and manifests; all else is a cache, or is replaced.
        var objects: Set<String>
        /// The newest snapshot, and which state of the environment it is of.
        var newest: (manifest: String, state: Int)?
    }

    /// By the repository's directory.
    var holdings: [String: Holding] = [:]
    /// The pack that the test damages in `one`, from then until it is healed.
    var mayBeDamaged: String?
}

/// Commands on a recorded disk: a repository made there (`fresh`), and one with a copy beside it (`one`, `two`).
final class PowerCutWorkload {
    struct Step {
        var name: String
        var repository: String
        /// The environment's state that it backs up.
        var state: Int?
        /// Nil: the test damages a pack of `one`.
        var arguments: [String]?
        /// It says that it is done already, with exit code 1, if it was not acknowledged but done.
        var isOnce = false

        static func backup(_ repository: String, _ state: Int, _ options: [String] = []) -> Step {
            Step(
                name: "backup of \(state) into \(repository)", repository: repository, state: state,
                arguments: ["backup", "--offline"] + options)
        }
    }

    static let states = 4

    let disk: RecordedDisk
    let steps: [Step]
    private(set) var acknowledged: [Acknowledged] = []
    private let directory: TemporaryDirectory
    private var home: String { directory["home"] }
    private var stateOf: [String: Int] = [:]

    init(_ disk: RecordedDisk) throws {
        self.disk = disk
        directory = try TemporaryDirectory()
        steps = [
            Step(name: "init", repository: "fresh", arguments: ["init"], isOnce: true),
            .backup("fresh", 0),
            .backup("one", 1),
            Step(
                name: "copy add", repository: "one",
                arguments: ["copy", "add", Path.join(disk.root, "two"), "--label", "two", "--no-sync"],
                isOnce: true),
            Step(name: "first copy sync", repository: "one", arguments: ["copy", "sync"]),
            .backup("one", 2, ["--without", "two"]),
            Step(name: "copy sync", repository: "one", arguments: ["copy", "sync"]),
            .backup("one", 3, ["--require", "2"]),
            Step(name: "damage", repository: "one"),
            Step(name: "heal", repository: "one", arguments: ["heal"]),
            .backup("fresh", 2),
        ]
        for state in 0..<Self.states {
            try run(
                Executable.workload,
                [
                    "run", "--home", home, "--seconds", "0.2", "--remove-regions", "--records", "8000",
                    "--cache", "4194304", "--log-size", "1048576",
                ]
            ).require(0)
            try run("cp", ["-a", home, directory["state\(state)"]]).require(0)
        }
    }

    func path(_ repository: String) -> String { Path.join(disk.root, repository) }

    /// Makes the base: `one`, of small packs, with a snapshot. Then all steps, each of them acknowledged.
    ///
    /// - Parameter variables: for the commands.
    func record(_ variables: [String: String]) throws -> DiskLog {
        if let failure = try disk.mount(disk["base"]) { throw ProcessFailure(failure) }
        _ = try Repository.create(at: path("one"), parameters: ClosedEnvironment.smallPacks)
        try perform(.backup("one", 0), [:]).require(0)
        try disk.unmount()
        try disk.startRecording()
        try acknowledge(after: .backup("one", 0), nil)
        var damaged: String?
        for step in steps {
            if step.arguments != nil {
                try perform(step, variables).require(0)
                if step.name == "heal" { damaged = nil }
            } else {
                damaged = try damage()
                acknowledged[acknowledged.count - 1].mayBeDamaged = damaged
            }
            try acknowledge(after: step, damaged)
            try disk.mark()
        }
        if variables.isEmpty { try keepExpected() }
        return try disk.stopRecording()
    }

    /// Runs the step's command, on the environment as it was.
    func perform(_ step: Step, _ variables: [String: String]) throws -> Finished {
        var arguments = (step.arguments ?? []) + ["-r", path(step.repository)]
        if let state = step.state {
            try run("rm", ["-rf", home]).require(0)
            try run("cp", ["-a", directory["state\(state)"], home]).require(0)
            arguments += ["--bdb", home]
        }
        return try run(Executable.varve, arguments, environment: variables)
    }

    /// Runs the step's command again, whether or not a power cut left it undone.
    func rerunFailure(_ step: Step) throws -> String? {
        let again = try perform(step, [:])
        let isDone = step.isOnce && again.code == 1 && again.errors.contains("already")
        return again.code == 0 || isDone ? nil : "again: \(again)"
    }

    private func acknowledge(after step: Step, _ damaged: String?) throws {
        var result = Acknowledged(mayBeDamaged: damaged)
        for repository in ["fresh", "one", "two"] where access(path(repository), F_OK) == 0 {
            let stored = try Stored(path(repository))
            if let state = step.state {
                for manifest in stored.manifests where stateOf[manifest] == nil { stateOf[manifest] = state }
            }
            result.holdings[repository] = Acknowledged.Holding(
                objects: Set(stored.objects.filter { !$0.hasPrefix("indexes/") }),
                newest: stored.manifests.last.map { ($0, stateOf[$0] ?? -1) })
        }
        acknowledged.append(result)
    }

    private func damage() throws -> String {
        let packs = try Stored(path("one")).objects.filter { $0.hasPrefix("packs/") }.sorted()
        let path = file("one", packs[0])
        chmod(path, 0o600)
        let file = try File.open(updating: path)
        try withUnsafeBytes(of: UInt64.random(in: 0 ... .max)) {
            try file.write($0, at: try file.status().size / 2)
        }
        try file.sync()
        try file.close()
        return packs[0]
    }

    /// Where an object of `Stored` lies.
    func file(_ repository: String, _ object: String) -> String {
        let name = Path.name(object)
        return Path.join(
            path(repository), object.hasPrefix("packs/") ? "packs/\(name.prefix(2))/\(name)" : object)
    }

    /// Each state as a restore has it: files of the environment, byte by byte.
    private func keepExpected() throws {
        for (manifest, state) in stateOf where access(directory["expected\(state)"], F_OK) != 0 {
            let repository = access(file("one", "manifests/\(manifest)"), F_OK) == 0 ? "one" : "fresh"
            let expected = directory["expected\(state)"]
            try run(
                Executable.varve, ["restore", manifest, "-r", path(repository), "--target", expected]
            ).require(0)
            let difference = try run("diff", ["-r", expected, directory["state\(state)"]])
            let isPart = difference.output.split(separator: "\n").allSatisfy {
                $0.hasPrefix("Only in \(directory["state\(state)"])")
            }
            guard isPart, try Directory.list(expected).contains("btree1.db") else {
                throw ProcessFailure("not the environment: \(difference)")
            }
        }
    }

    /// Restores a snapshot; nil or what is wrong with it.
    func restoreFailure(_ repository: String, _ newest: (manifest: String, state: Int)) throws -> String? {
        let target = directory["restored"]
        try run("rm", ["-rf", target]).require(0)
        let restored = try run(
            Executable.varve, ["restore", newest.manifest, "-r", path(repository), "--target", target])
        guard restored.code == 0 else { return "\(restored)" }
        let difference = try run("diff", ["-r", directory["expected\(newest.state)"], target])
        return difference.code == 0 ? nil : "\(difference)"
    }
}
