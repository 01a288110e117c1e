import Testing
import VarveCapture
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport

/// A repository with three copies, `a` the first, and small packs, so that there are many objects.
final class CopyBench {
    let directory: TemporaryDirectory
    private(set) var random: SeededRandom

    static let labels = ["a", "b", "c"]

    init(copies: Int = 3, packSize: UInt32 = 1 << 16, seed: UInt64? = nil) throws {
        directory = try TemporaryDirectory()
        random = seed.map { SeededRandom(seed: $0) } ?? SeededRandom()
        let first = try TestRepository.create(at: path("a"), extentSize: 512, packSize: packSize, label: "a")
        for label in Self.labels[1..<copies] {
            _ = try CopyRegistry(try RepositoryCopies(first)).add(
                at: path(label), label: label, role: "local")
        }
    }

    func path(_ label: String) -> String { directory.join(label) }
    func repository(_ label: String) throws -> Repository { try Repository.open(path(label)) }

    /// Seen from one of them.
    func copies(from label: String = "a", without: Set<String> = []) throws -> RepositoryCopies {
        var options = RepositoryCopies.Options()
        options.without = without
        return try RepositoryCopies(try repository(label), options)
    }

    @discardableResult
    func backup(
        _ files: [ListedFile], from label: String = "a", without: Set<String> = [], required: Int = 1
    ) throws -> Archiver.Report {
        let copies = try copies(from: label, without: without)
        let source = ListedFiles.environment(files)
        return try Archiver(repository: copies.named, copies: copies, required: required).backup(
            source, tool: "test")
    }

    /// Some files whose extents are all different.
    func files(_ count: Int = 4, bytes: Int = 60_000) -> [ListedFile] {
        (0..<count).map { ListedFile("file-\($0)", random.bytes(bytes)) }
    }

    func restore(
        _ snapshot: String = "latest", of label: String, alone: Bool = true
    ) throws -> (target: String, others: OtherCopies?) {
        let repository = try repository(label)
        let target = directory.join("restored-\(UInt64.random(in: 0 ... .max))")
        let restorer = Restorer(repository: repository, copies: alone ? nil : try copies(from: label))
        try restorer.restore(try restorer.plan(try repository.find(snapshot), target: target))
        return (target, restorer.others)
    }

    func expectRestores(_ files: [ListedFile], _ snapshot: String = "latest", of label: String) throws {
        let (target, _) = try restore(snapshot, of: label)
        for file in files {
            let isEqual = try Bytes.read(Path.join(target, file.path)) == file.content
            #expect(isEqual, "\(file.path) of \(label)")
        }
    }

    /// Packs and manifests with their bytes.
    func objects(_ label: String) throws -> [String: [UInt8]] {
        var objects: [String: [UInt8]] = [:]
        for kind in ["packs", "manifests"] {
            for file in try Bytes.files(beneath: Path.join(path(label), kind)) {
                objects["\(kind)/\(file)"] = try Bytes.read(Path.join(path(label), "\(kind)/\(file)"))
            }
        }
        return objects
    }

    /// Every file but the lock, with its bytes.
    func everything(_ label: String) throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for file in try Bytes.files(beneath: path(label)) where file != "lock" {
            files[file] = try Bytes.read(Path.join(path(label), file))
        }
        return files
    }

    @discardableResult
    func synchronize(_ label: String, from named: String = "a") throws -> SyncReport {
        let copies = try copies(from: named)
        return try CopySynchronizer(copies).run(try copies.find(label))
    }

    @discardableResult
    func heal(_ label: String, from named: String = "a") throws -> HealReport {
        let copies = try copies(from: named)
        let healer = Healer(copies)
        return try healer.run(try healer.plan(try copies.find(label)))
    }

    func move(_ label: String, to name: String) throws { try Directory.rename(path(label), to: path(name)) }

    /// A way in which an object may be lost or damaged.
    enum Damage: CaseIterable { case flip, truncation, zeros, swap, deletion }

    func damage(_ label: String, _ object: String, _ damage: Damage) throws {
        let path = Path.join(path(label), object)
        var bytes = try Bytes.read(path)
        switch damage {
        case .flip:
            bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(
                in: 1...255, using: &random)
        case .truncation: bytes.removeLast(Int.random(in: 1...bytes.count, using: &random))
        case .zeros:
            let start = Int.random(in: 0..<bytes.count, using: &random)
            let end = min(bytes.count, start + Int.random(in: 1...4096, using: &random))
            // Zeros over zeros would be no damage.
            if bytes[start..<end].allSatisfy({ $0 == 0 }) {
                bytes[start] = 1
            } else {
                bytes.replaceSubrange(start..<end, with: repeatElement(0, count: end - start))
            }
        case .swap:
            let others = try objects(label).filter { $0.key != object && $0.value != bytes }
            guard let other = others.keys.sorted().randomElement(using: &random) else { return }
            bytes = others[other]!
        case .deletion:
            try Directory.removeFile(path)
            return
        }
        try Bytes.write(bytes, to: path)
    }

    func pick<T>(_ count: Int, of all: [T]) -> [T] { Array(all.shuffled(using: &random).prefix(count)) }
    func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &random) }
}
