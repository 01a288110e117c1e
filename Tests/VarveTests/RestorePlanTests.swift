import Testing
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport

/// A manifest is input: what it says is checked before anything is written.
@Suite struct RestorePlanTests {
    private static let attributes = Manifest.Attributes(
        mode: 0o600, user: 0, group: 0, modified: Timestamp(seconds: 0))

    private func file(
        _ path: String, _ kind: Manifest.StoredFile.Kind = .other, size: UInt64 = 0, log: UInt32? = nil,
        names: [String] = []
    ) -> Manifest.StoredFile {
        let log = log.map {
            Manifest.Log(
                number: $0, validLength: 100, firstLSN: LSN(file: $0, offset: 28),
                lastLSN: LSN(file: $0, offset: 90),
                absoluteNames: names)
        }
        return Manifest.StoredFile(
            path: path, kind: kind, size: size, attributes: Self.attributes,
            map: size == 0 ? nil : ContentID.zero.hex,
            database: nil, log: log)
    }

    private func recovery(_ first: UInt32, _ last: UInt32, largest: LSN? = nil, end: LSN? = nil)
        -> Manifest.Recovery
    {
        Manifest.Recovery(
            firstLog: first, lastLog: last, checkpoint: nil, checkpointLSN: nil, largestPageLSN: largest,
            endOfLog: end ?? LSN(file: last, offset: 100), recoverableTo: Timestamp(seconds: 0))
    }

    private func plan(
        _ files: [Manifest.StoredFile], _ recovery: Manifest.Recovery? = nil, directories: [String] = ["."],
        configuration: String? = nil, environment: Manifest.Environment? = nil,
        options: RestorePlan.Options = .init()
    ) throws -> RestorePlan {
        let manifest = Manifest(
            repository: TestRepository.id.description, sequence: 1, previous: nil, tool: "test", host: "test",
            started: Timestamp(seconds: 0), finished: Timestamp(seconds: 0), environment: environment,
            recovery: recovery,
            files: files,
            directories: directories.map { Manifest.StoredDirectory(path: $0, attributes: Self.attributes) },
            warnings: [],
            statistics: Manifest.Statistics())
        return try RestorePlan(
            manifest, reference: SnapshotReference(sequence: 1, hash: .zero), target: "/nowhere",
            configuration: configuration.map { Array($0.utf8) }, options: options)
    }

    static let hostile = [
        "", "/", "/x", "..", "../x", "a/../b", "a/..", "a//b", "a/./b", "./a", "a/", "a\0b", "\0", "a/\0/b",
        String(repeating: "x", count: 256),
    ]

    @Test(arguments: hostile) func hostilePathsAreRefused(_ path: String) {
        expect(.corrupt) { try plan([file(path)]) }
        expect(.corrupt) { try plan([file("a"), file(path)]) }
        expect(.corrupt) { try plan([], directories: [".", path]) }
        expect(.corrupt) { try plan([file(path, .log, log: 1)], recovery(1, 1)) }
    }

    @Test(arguments: [
        "a", "a/b/c", "..a", "a..", ".hidden", "...", "a b", "ü", String(repeating: "x", count: 255),
    ])
    func otherPathsAreFine(_ path: String) throws {
        #expect(
            try plan([file(path)], directories: [".", path + "-"].filter { $0.utf8.count < 256 }).files.count
                == 1)
    }

    @Test func aPathMayComeOnce() {
        expect(.corrupt) { try plan([file("a"), file("b"), file("a")]) }
    }

    /// Files of impossible sizes, alone and together.
    @Test(arguments: [[.max], [1 << 63], [1 << 62, 1 << 62]] as [[UInt64]]) func sizesAreBounded(
        _ sizes: [UInt64]
    ) {
        let files = sizes.enumerated().map { file("f\($0.offset)", size: $0.element) }
        expect(.corrupt) { try plan(files) }
    }

    @Test func orderIsDatabasesThenOthersThenLogs() throws {
        let plan = try plan(
            [
                file("log.0000000002", .log, log: 2), file("log.0000000010", .log, log: 10), file("x"),
                file("log.0000000009", .log, log: 9), file("a.db", .database),
                file("DB_CONFIG", .configuration),
            ], recovery(9, 10))
        #expect(
            plan.files.map(\.path) == [
                "a.db", "x", "DB_CONFIG", "log.0000000002", "log.0000000009", "log.0000000010",
            ])
    }

    @Test func everyNeededLogMustBeThere() throws {
        let logs = (3...6).map { file("log.\($0)", .log, log: UInt32($0)) }
        #expect(try plan(logs, recovery(3, 6)).files.count == 4)
        for missing in 0..<4 {
            var rest = logs
            rest.remove(at: missing)
            expect(.corrupt, "log \(missing + 3)") { try plan(rest, recovery(3, 6)) }
        }
        expect(.corrupt) { try plan([], recovery(3, 6)) }
        expect(.corrupt) { try plan(logs, recovery(6, 3)) }
        // Without any memory for what cannot be there.
        expect(.corrupt) { try plan(logs, recovery(0, .max)) }
    }

    @Test func logsMustReachTheNewestPage() throws {
        let logs = [file("log.1", .log, log: 1), file("log.2", .log, log: 2)]
        let end = LSN(file: 2, offset: 100)
        #expect(try plan(logs, recovery(1, 2, largest: LSN(file: 2, offset: 99), end: end)).recovery != nil)
        for largest in [end, LSN(file: 2, offset: 101), LSN(file: 3, offset: 28)] {
            expect(.corrupt, "\(largest)") { try plan(logs, recovery(1, 2, largest: largest, end: end)) }
        }
    }

    @Test func aTargetThatIsInUseIsRefused() throws {
        let bench = try Bench()
        let files = [ListedFile("a", [1])]
        try bench.backup(files)
        let target = bench.directory.join("restored")
        try Directory.create(target)
        try Bytes.write([7], to: Path.join(target, "a"))
        let error = expect(.invalid) { _ = try bench.restore() }
        #expect(error?.hint != nil)
        #expect(try Bytes.read(Path.join(target, "a")) == [7])
        #expect(try Directory.list(target) == ["a"])
        // An empty one is fine, a file in its place is not, nor a missing parent.
        try Directory.removeFile(Path.join(target, "a"))
        try bench.expectRestored(files, at: try bench.restore())
        try Bytes.write([7], to: bench.directory.join("file"))
        expect(.invalid) { _ = try bench.restore(to: "file") }
        expect(.invalid) { _ = try bench.restore(to: "no/parent") }
        // What is in the way and not of varve's making stays.
        let inTheWay = bench.directory.join("new.varve-incomplete")
        try Directory.create(inTheWay)
        try Bytes.write([7], to: Path.join(inTheWay, "somebody's"))
        expect(.invalid) { _ = try bench.restore(to: "new") }
        #expect(try Directory.list(inTheWay) == ["somebody's"])
    }

    /// The set-id bits of a hostile manifest do not come back.
    @Test func setIDBitsAreDropped() throws {
        let bench = try Bench()
        try bench.backup([ListedFile("a", [1], mode: 0o6755)])
        #expect(try FileStatus.of(Path.join(try bench.restore(), "a"))?.mode == 0o755)
    }
}
