import VarveFiles
import VarveFormat
import VarveRepository
import VarveTestSupport

/// A repository with so many snapshots of twenty files each, and no packs: for commands that list.
enum Snapshots {
    static func make(at path: String, count: Int) throws {
        let repository = try Repository.create(at: path)
        var random = SeededRandom(seed: 7)
        var previous: SnapshotReference?
        for number in 1...count {
            previous = try repository.manifests.publish(
                manifest(UInt64(number), previous, repository, &random))
        }
    }

    private static func manifest(
        _ sequence: UInt64, _ previous: SnapshotReference?, _ repository: Repository,
        _ random: inout SeededRandom
    ) -> Manifest {
        let time = Timestamp(seconds: 1_700_000_000 + Int64(sequence) * 3600, nanoseconds: 123_456_789)
        let attributes = Manifest.Attributes(mode: 0o640, user: 109, group: 113, modified: time)
        let files = (0..<20).map { number -> Manifest.StoredFile in
            let isLog = number >= 17
            let lsn = LSN(file: UInt32(sequence), offset: UInt32.random(in: 28..<10_000_000, using: &random))
            return Manifest.StoredFile(
                path: isLog ? "log.\(format(sequence + UInt64(number), 10))" : "data/table\(number).db",
                kind: isLog ? .log : .database, size: UInt64.random(in: 1 << 20..<1 << 30, using: &random),
                attributes: attributes, map: Hex.encode(random.bytes(32)),
                database: isLog
                    ? nil
                    : Manifest.Database(
                        type: "btree", pageSize: 8192, pages: 100_000, uid: Hex.encode(random.bytes(20)),
                        bigEndian: false, checksums: true, encrypted: false, largestLSN: lsn),
                log: isLog
                    ? Manifest.Log(
                        number: UInt32(sequence), validLength: 10_000_000, firstLSN: lsn, lastLSN: lsn,
                        absoluteNames: []) : nil)
        }
        let home = Manifest.Environment.PlacedDirectory(original: ".", restored: ".", configured: true)
        var statistics = Manifest.Statistics()
        statistics.storedBytes = UInt64.random(in: 0..<1 << 28, using: &random)
        return Manifest(
            repository: repository.id.description, sequence: sequence, previous: previous?.name,
            tool: "varve", host: "host\(sequence % 3)", started: time, finished: time,
            environment: Manifest.Environment(
                home: "/srv/environment\(sequence % 7)", mode: .live, envid: 1, dataDirectories: [home],
                logDirectory: home, encrypted: false, registered: false, only: nil),
            recovery: Manifest.Recovery(
                firstLog: 1, lastLog: 2, checkpoint: nil, checkpointLSN: nil, largestPageLSN: nil,
                endOfLog: LSN(file: 2, offset: 100), recoverableTo: time),
            files: files.sorted { $0.path < $1.path }, directories: [], warnings: [], statistics: statistics)
    }

    private static func format(_ number: UInt64, _ width: Int) -> String {
        let digits = "\(number)"
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
