import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// Long series of offline backups of an environment to which everything happens that may happen to one.
    @Suite struct HistoryTests {
        enum Kind: String, CaseIterable, Sendable { case plain, encrypted }

        static let snapshots = Executable.isSoak ? 220 : 40
        /// Snapshots that are recovered and verified by libdb, too.
        static let recovered = Executable.isSoak ? 40 : 6

        @Test(arguments: Kind.allCases, 0..<(Executable.isSoak ? 3 : 1))
        func everySnapshotComesBack(_ kind: Kind, _ round: Int) throws {
            var random = SeededGenerator(for: "everySnapshotComesBack, \(kind)")
            for _ in 0..<round { _ = random.next() }
            try check(kind, &random)
        }

        /// Recovery leaves pages behind the last one of a heap: to db_verify, which opens the database first, all is well.
        @Test func aDatabaseShorterThanItsFile() throws {
            var random = SeededGenerator(seed: 736_164_217)
            try check(.encrypted, &random)
        }

        private func check(_ kind: Kind, _ random: inout SeededGenerator) throws {
            let environment = try Environment(kind)
            let recovered = Set((0..<Self.snapshots).shuffled(using: &random).prefix(Self.recovered))
            var taken: [(output: BackupOutput, files: [String: String])] = []
            var isWhole: [String: Bool] = [:]
            for number in 0..<Self.snapshots {
                try environment.advance(seed: random.next() >> 1, steps: .random(in: 1...6, using: &random))
                taken.append((try environment.backup(), try environment.checksums(environment.home)))
                guard recovered.contains(number) else { continue }
                isWhole[taken[number].output.snapshot] = try environment.isWholeToItsOwnTools()
            }
            for (output, files) in taken {
                let restored = try environment.restore(output.snapshot)
                let found = try environment.checksums(restored)
                #expect(Self.differences(files, found).isEmpty, "\(output.snapshot), seed \(random.seed)")
                #expect(!found.keys.filter(Self.isLog).isEmpty, "\(output.snapshot) has no logs")
                try Directory.removeTree(restored)
            }
            // libdb 5.3.28 spoils some encrypted histories itself ("queue database page of incorrect type 13").
            print(
                "\(kind): \(isWhole.values.count { $0 }) of \(isWhole.count) are whole to libdb's own tools")
            for (snapshot, isWhole) in isWhole {
                #expect(try environment.recovers(snapshot) == isWhole, "\(snapshot), seed \(random.seed)")
            }
            #expect(isWhole.values.contains(true))
            try environment.varve.run(["verify", "--content"], seconds: 300).require(0)
            Self.expectDeltas(taken.map(\.output))

            // A negative control: one snapshot is not taken for another.
            let other = try environment.checksums(
                try environment.restore(taken[taken.count / 2].output.snapshot))
            #expect(!Self.differences(taken[0].files, other).isEmpty)
        }

        private static func isLog(_ path: String) -> Bool { path.hasPrefix("log.") }

        /// What a removed queue left: libdb drops the queue's file in some histories and not its extents. Nothing reads
        /// them, and no backup takes them.
        private static func isOrphan(_ path: String, _ files: [String: String]) -> Bool {
            guard path.hasPrefix("__dbq."), let dot = path.lastIndex(of: ".") else { return false }
            return files[String(path[..<dot].dropFirst(6))] == nil
        }

        /// Every database and `DB_CONFIG` must be there and the same; of the logs, those that recovery needs.
        private static func differences(_ files: [String: String], _ found: [String: String]) -> [String] {
            let wrong = found.filter { files[$0.key] != $0.value }.map(\.key)
            return (wrong + files.keys.filter { found[$0] == nil && !isLog($0) && !isOrphan($0, files) })
                .sorted()
        }

        private static func expectDeltas(_ outputs: [BackupOutput]) {
            let statistics = outputs.map(\.statistics)
            #expect(statistics.reduce(0) { $0 + $1.deltaExtents } > UInt64(outputs.count))
            let deepest = statistics.map(\.deepestChain).max() ?? 0
            #expect(deepest > 3 && deepest <= 96, "the deepest chain has \(deepest) deltas")
        }
    }
}

private final class Environment {
    let directory: TemporaryDirectory
    let home: String
    let varve: VarveCommand
    private let password: String?

    init(_ kind: ProcessTests.HistoryTests.Kind) throws {
        directory = try TemporaryDirectory()
        home = directory["environment"]
        varve = try .initialized(directory["repository"])
        password = kind == .encrypted ? directory["password"] : nil
        if let password { try Text.write(LiveEnvironment.password, to: password) }
    }

    func advance(seed: UInt64, steps: Int) throws {
        let options = ["--seed", String(seed), "--steps", String(steps), "--log-size", "300000"]
        try run(
            Executable.workload,
            ["history", "--home", home] + options + (password.map { ["--encrypt", $0] } ?? [])
        ).require(0)
    }

    func backup() throws -> BackupOutput {
        let output = try varve.run(["backup", "--json", "--offline", "--bdb", home] + passwordFile)
            .require(0).decode(BackupOutput.self)
        guard !output.tainted else { throw ProcessFailure("a tainted backup: \(output)") }
        return output
    }

    /// - Returns: the directory that it is in.
    func restore(_ snapshot: String) throws -> String {
        let target = directory["restored"]
        try varve.run(["restore", snapshot, "--target", target]).require(0)
        return target
    }

    /// Whether a plain copy of the closed environment recovers and verifies, by the vendor's programs alone.
    func isWholeToItsOwnTools() throws -> Bool {
        let copy = directory["copy"]
        defer { try? Directory.removeTree(copy) }
        try run("cp", ["-a", home, copy]).require(0)
        let password = password == nil ? [] : ["-P", String(LiveEnvironment.password.dropLast())]
        try run("db5.3_recover", ["-c", "-h", copy] + password).require(0)
        let databases = try Directory.list(copy).filter { $0.hasSuffix(".db") && !$0.hasPrefix("__db") }
        return try databases.allSatisfy {
            try run("db5.3_verify", ["-h", copy, $0] + password).status == .exited(0)
        }
    }

    /// Whether a restore with recovery and verification ends well.
    func recovers(_ snapshot: String) throws -> Bool {
        let target = directory["restored"]
        let result = try varve.run(
            ["restore", snapshot, "--target", target, "--recover"] + passwordFile)
        if try FileStatus.of(target) != nil { try Directory.removeTree(target) }
        return result.status == .exited(0)
    }

    private var passwordFile: [String] { password.map { ["--password-file", $0] } ?? [] }

    /// SHA-256 of each file of an environment but its regions, by its path beneath.
    func checksums(_ environment: String) throws -> [String: String] {
        let paths = try FileTree.files(in: environment).map { String($0.dropFirst(environment.count + 1)) }
            .filter { !$0.hasPrefix("__db.") && !$0.hasPrefix(".varve") }
        let lines = try run("sha256sum", paths, directory: environment).require(0).output.split(
            separator: "\n")
        return Dictionary(
            uniqueKeysWithValues: lines.map { (String($0.dropFirst(66)), String($0.prefix(64))) })
    }
}
