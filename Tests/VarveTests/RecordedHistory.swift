import Testing
import VarveBlobs
import VarveCapture
import VarveCodec
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveStorage
import VarveTestSupport

/// A repository with snapshots of a `RandomHistory`, and what each must give back.
final class RecordedHistory {
    struct Content: Hashable {
        var size: Int
        var hash: ContentID

        init(_ bytes: [UInt8]) {
            size = bytes.count
            hash = bytes.withUnsafeBytes { Hasher.name(of: $0) }
        }
    }

    /// Hashes and not bytes: hundreds of snapshots are kept.
    struct Record {
        var reference: SnapshotReference
        var files: [String: Content]

        /// The paths that are not as they were.
        func differences(at target: String) throws -> [String] {
            var found: [String: Content] = [:]
            for path in try Bytes.files(beneath: target) {
                found[path] = Content(try Bytes.read(Path.join(target, path)))
            }
            return Set(files.keys).union(found.keys).filter { files[$0] != found[$0] }.sorted()
        }
    }

    static let home = "/srv/history"

    let bench: Bench
    private(set) var history: RandomHistory
    private(set) var records: [Record] = []
    /// For what happens to the repository; the files have their own.
    private var random: SeededRandom

    init(
        seed: SeededRandom, extentSize: UInt32, packSize: UInt32, page: Int = 512,
        largestFile: Int = 160 << 10
    ) throws {
        bench = try Bench(extentSize: extentSize, packSize: packSize)
        random = SeededRandom(seed: seed.seed ^ 0x5EED)
        history = RandomHistory(seed, page: page, largestFile: largestFile)
    }

    /// Changes the files and takes a snapshot of them. Now and then a backup fails before, or tables are lost.
    @discardableResult
    func advance() throws -> Archiver.Report {
        history.advance()
        switch Int.random(in: 0...19, using: &random) {
        case 0: try failBackup()
        case 1: try bench.removeIndexes()
        case 2:
            if let name = try bench.indexes.randomElement(using: &random) {
                try Directory.removeFile("\(bench.repository.path)/indexes/\(name)")
            }
        default: break
        }
        let files = history.listed()
        let result = try bench.backup(Self.source(files))
        let contents = files.map { ($0.path, Content($0.content)) }
        records.append(
            Record(reference: result.snapshot, files: Dictionary(uniqueKeysWithValues: contents)))
        return result
    }

    /// Ends in the middle: its packs stay, and later snapshots may use what is in them.
    private func failBackup() throws {
        var files = history.listed()
        files.append(ListedFile("backwards", writes: [(4096, [1]), (0, [2])], size: 5000))
        expect(.invalid) { try bench.backup(Self.source(files)) }
    }

    private static func source(_ files: [ListedFile]) -> ListedFiles {
        var source = ListedFiles(files)
        source.home = home
        let directory = Manifest.Environment.PlacedDirectory(original: ".", restored: ".", configured: false)
        source.summary.environment = Manifest.Environment(
            home: home, mode: .offline, envid: nil, dataDirectories: [directory], logDirectory: directory,
            encrypted: false, registered: false, only: nil)
        return source
    }

    /// Restores a snapshot; the paths that are not as they were.
    func restoredDifferences(_ record: Record) throws -> [String] {
        let target = try bench.restore(record.reference)
        defer { try? Directory.removeTree(target) }
        return try record.differences(at: target)
    }

    /// One that knows nothing yet.
    func reader() throws -> BlobReader {
        let repository = try Repository.open(bench.repository.path)
        return BlobReader(index: try repository.openIndex(), storage: repository.storage)
    }
}
