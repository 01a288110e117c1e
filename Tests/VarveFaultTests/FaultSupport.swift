import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat
import VarveRepository

/// Everything here drives processes that compete for two processors and measure times: one after another.
@Suite(.serialized)
struct FaultTests {}

/// A closed environment of some 15 MiB, in two states: the first is in the repository, the second is not yet.
final class ClosedEnvironment {
    static let options = ["--records", "10000", "--cache", "4194304", "--log-size", "1048576"]

    let directory: TemporaryDirectory
    var home: String { directory["home"] }
    /// With one snapshot. Tests work on copies.
    var base: VarveCommand { VarveCommand(repository: directory["base"]) }

    init() throws {
        directory = try TemporaryDirectory()
        _ = try Repository.create(at: directory["base"], parameters: Self.smallPacks)
        try write(seconds: 0.5)
        try backup(base).require(0)
        try base.run(["restore", "latest", "--target", directory["first"]]).require(0)
        try write(seconds: 0.7)
    }

    static var smallPacks: RepositoryDescription.Parameters {
        var parameters = RepositoryDescription.Parameters()
        parameters.packSize = 1 << 20
        return parameters
    }

    private func write(seconds: Double) throws {
        try run(
            Executable.workload,
            ["run", "--home", home, "--seconds", "\(seconds)", "--remove-regions"] + Self.options
        ).require(0)
    }

    func copy(_ name: String) throws -> VarveCommand {
        let path = directory[name]
        try run("rm", ["-rf", path]).require(0)
        try run("cp", ["-a", base.repository, path]).require(0)
        return VarveCommand(repository: path)
    }

    @discardableResult
    func backup(_ command: VarveCommand) throws -> Finished {
        try command.run(["backup", "--bdb", home, "--offline"])
    }

    /// Nothing of the environment changed but for the lock file, and what the source is called.
    func requireClean() throws {
        let own = Path.join(home, ".varve")
        guard access(own, F_OK) == 0 else { return }
        #expect(try Directory.list(own).filter { $0 != "lock" && $0 != "source" } == [])
    }
}

/// What a repository holds, as a person would look.
struct Stored {
    var packs: Int = 0
    var packBytes: UInt64 = 0
    var manifests: [String] = []
    var temporary: Int = 0
    var objects: [String] = []

    init(_ repository: String) throws {
        for shard in try Directory.list(Path.join(repository, "packs")) {
            let directory = Path.join(repository, "packs/\(shard)")
            for name in try Directory.list(directory) {
                packs += 1
                packBytes += try FileStatus.of(Path.join(directory, name))?.size ?? 0
                objects.append("packs/\(name)")
            }
        }
        manifests = try Directory.list(Path.join(repository, "manifests"))
        let indexes = try Directory.list(Path.join(repository, "indexes"))
        objects += (manifests.map { "manifests/\($0)" } + indexes.map { "indexes/\($0)" })
        temporary = try Directory.list(Path.join(repository, "tmp")).count
    }
}

extension VarveCommand {
    /// Media and content.
    func requireGood(_ comment: Comment) throws {
        let verified = try run(["verify"])
        #expect(verified.code == 0, "\(comment): \(verified)")
    }

    /// The snapshot's files are those under `expected`, with times and modes.
    func requireRestores(_ snapshot: String, as expected: String, _ comment: Comment) throws {
        let directory = try TemporaryDirectory()
        let restored = try run(["restore", snapshot, "--target", directory["r"]])
        #expect(restored.code == 0, "\(comment): \(restored)")
        let difference = try ProcessSupport.run("diff", ["-r", expected, directory["r"]])
        #expect(difference.code == 0, "\(comment): \(difference)")
    }
}

/// `strace`, which also makes calls fail.
enum Tracer {
    /// Calls that change something on a disk. An `openat2` or a `close` needs no entry: the state after it is the
    /// state before the next of these.
    static let changing = [
        "write", "pwrite64", "fsync", "renameat2", "renameat", "rename", "linkat", "link", "unlinkat",
        "unlink",
        "mkdirat", "mkdir", "rmdir", "ftruncate", "fchmod", "fchown", "utimensat", "flock",
    ]

    /// Runs varve under `strace`, which follows its threads but no other program.
    static func start(_ arguments: [String], _ expression: [String], log: String) throws -> RunningProcess {
        try RunningProcess(
            "strace",
            ["-f", "-b", "execve", "-qq", "-y", "-o", log] + expression + ["--", Executable.varve] + arguments
        )
    }

    /// How often each call is made by the thread that makes it most.
    static func count(_ arguments: [String], _ calls: [String], log: String) throws -> [(
        call: String, count: Int
    )] {
        try start(arguments, ["-e", "trace=" + calls.joined(separator: ",")], log: log).wait(seconds: 120)
            .require(0)
        return counts(try Text.read(log))
    }

    static func counts(_ log: String) -> [(call: String, count: Int)] {
        var counts: [String: [Substring: Int]] = [:]
        for line in log.split(separator: "\n") {
            let fields = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
            guard fields.count == 2, let end = fields[1].firstIndex(of: "(") else { continue }
            let call = fields[1][..<end].trimming()
            guard !call.isEmpty, !call.contains(" "), !call.contains("<") else { continue }
            counts[call, default: [:]][fields[0], default: 0] += 1
        }
        return counts.mapValues { $0.values.max() ?? 0 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

extension Substring {
    fileprivate func trimming() -> String { split(separator: " ").joined(separator: " ") }
}

/// Every number up to the count, or a seeded sample of them: always the first and the last.
func sample(_ count: Int, limit: Int, _ random: inout SeededGenerator) -> [Int] {
    guard count > limit, !Executable.isSoak else { return Array(1...max(1, count)) }
    let inner = (2..<count).shuffled(using: &random).prefix(max(0, limit - 2))
    return ([1] + inner + [count]).sorted()
}
