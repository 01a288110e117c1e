import Glibc
import VarveBlobs
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveTestSupport

/// What an index of so many blobs costs a process that has done nothing else.
enum Measurement {
    static let lookups = 1_000_000
    private static let counted = 100_000

    static func run(at path: String, entries: Int) throws {
        let repository = try Repository.open(path)
        let before = try residentKiB()
        let opening = try median(of: 5) { _ = try repository.openIndex() }
        let index = try repository.openIndex()
        let opened = try residentKiB()
        var random = SeededRandom(seed: 1)
        let tables = index.tableCount

        // What a reader does once, when it misses a blob, and a writer when it begins: packs against tables.
        let (_, listing) = try seconds { _ = index.find(Generator.id(entries)) }
        let listed = try residentKiB()
        let (present, presentTime) = try seconds {
            (0..<lookups).count { _ in
                index.find(Generator.id(Int.random(in: 0..<entries, using: &random))) != nil
            }
        }
        let (absent, absentTime) = try seconds {
            (0..<lookups).count { index.find(Generator.id(entries + $0)) == nil }
        }
        guard present == lookups, absent == lookups else {
            throw VarveError(.corrupt, "\(present) of \(lookups) found, \(absent) not found")
        }
        let end = try residentKiB()
        let (bytes, filterBytes) = (try size(.index, repository), try size(.filter, repository))
        let touches = try touches(repository, entries: entries)
        print(
            [
                "\(entries)", "\(tables)", fixed(Double(bytes) / Double(entries)),
                fixed(Double(filterBytes) / Double(entries)), fixed(opening * 1000), fixed(listing * 1000),
                fixed(Double(opened - before) / 1024), fixed(Double(listed - before) / 1024),
                fixed(Double(end - before) / 1024),
                "\(Int(Double(lookups) / presentTime))", "\(Int(Double(lookups) / absentTime))",
                fixed(touches.table), fixed(touches.filter),
            ].joined(separator: "\t"))
    }

    static let header = [
        "entries", "tables", "B/entry", "+filter", "open ms", "list packs ms", "RSS open", "RSS listed",
        "RSS end MiB", "found/s", "absent/s", "pages of tables", "of filters, per absent id",
    ].joined(separator: "\t")

    /// 4 KiB pages that a lookup of an absent id asks a file for.
    private static func touches(
        _ repository: Repository, entries: Int
    ) throws -> (table: Double, filter: Double) {
        let storage = WatchedStorage(repository.storage)
        let index = try RepositoryIndex(storage: storage, repository: repository.id)
        _ = index.find(Generator.id(entries))
        storage.reset()
        for number in 0..<counted { _ = index.find(Generator.id(entries + number)) }
        return (
            Double(storage.counts(.index).pages) / Double(counted),
            Double(storage.counts(.filter).pages) / Double(counted)
        )
    }

    private static func size(_ kind: ObjectKind, _ repository: Repository) throws -> UInt64 {
        try repository.storage.list(kind).reduce(0) {
            try $0 + (repository.storage.size(of: ObjectName(kind, $1)) ?? 0)
        }
    }

    private static func residentKiB() throws -> Int {
        let bytes = try File.open(reading: "/proc/self/status").readToEnd(limit: 1 << 16)
        let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first {
            $0.hasPrefix("VmRSS:")
        }
        return line.flatMap { Int($0.split(separator: " ").dropFirst().first ?? "") } ?? 0
    }
}

/// Processor time, which neighbours disturb less than the clock on the wall.
func seconds<R>(_ body: () throws -> R) throws -> (R, Double) {
    func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
    let start = now()
    let result = try body()
    return (result, now() - start)
}

func median(of count: Int, _ body: () throws -> Void) throws -> Double {
    try (0..<count).map { _ in try seconds(body).1 }.sorted()[count / 2]
}

func fixed(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    return "\(hundredths / 100).\(hundredths / 10 % 10)\(hundredths % 10)"
}
