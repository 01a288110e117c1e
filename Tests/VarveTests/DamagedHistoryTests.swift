import Testing
import VarveBlobs
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveStorage
import VarveTestSupport
import VarveUpkeep

/// Chains of deltas cut by lost and damaged packs, many times: what verification names is exactly what does not come
/// back.
@Suite struct DamagedHistoryTests {
    private static let rounds = Soak.isWanted ? 300 : 20
    /// Snapshots that are restored in a round; what a restore would get of the others is asked for all the same.
    private static let restores = Soak.isWanted ? Int.max : 5

    private static func history(_ seed: SeededRandom, snapshots: Int = 25) throws -> RecordedHistory {
        let history = try RecordedHistory(
            seed: seed, extentSize: 512, packSize: 16 << 10, largestFile: 24 << 10)
        for _ in 0..<snapshots { try history.advance() }
        return history
    }

    /// Every pack is put back before the next round.
    @Test func whatIsNamedIsWhatIsLost() throws {
        var random = SeededRandom()
        let history = try Self.history(random)
        var (lost, whole) = (0, 0)
        for round in 0..<Self.rounds {
            let about = "round \(round), VARVE_TEST_SEED=\(random.seed)"
            let damage = try Damage(history.bench, random: &random)
            let named = try expectNamedIsLost(history, "\(damage), \(about)", &random)
            lost += named.count
            whole += history.records.count - named.count
            try damage.repair()
        }
        #expect(lost > 0 && whole > 0, "one side was never tried: VARVE_TEST_SEED=\(random.seed)")
        #expect(try history.bench.verify().isGood)
    }

    /// The damage stays, and backups go on: what they build on may be lost, and what they store again is not.
    @Test func backupsOfADamagedRepository() throws {
        var random = SeededRandom()
        for round in 0..<max(2, Self.rounds / 10) {
            let history = try Self.history(random, snapshots: 12)
            for _ in 0..<3 {
                let damage = try Damage(history.bench, random: &random)
                for _ in 0..<3 {
                    try history.advance()
                    let about = "\(damage), round \(round), VARVE_TEST_SEED=\(random.seed)"
                    try expectNamedIsLost(history, about, &random)
                }
            }
        }
    }

    fileprivate static func describe(_ snapshot: String, _ path: String, _ range: Range<UInt64>?) -> String {
        "\(snapshot) \(path) \(range.map { "\($0)" } ?? "all")"
    }

    /// - Returns: the snapshots that do not come back.
    @discardableResult
    private func expectNamedIsLost(
        _ history: RecordedHistory, _ about: String, _ random: inout SeededRandom
    ) throws -> Set<String> {
        let report = try Verifier(try Repository.open(history.bench.repository.path)).verifyContent()
        let losses = try history.losses()
        let found = Set(report.losses.map { Self.describe($0.snapshot, $0.path, $0.range) })
        let (unnamed, unfounded) = (losses.subtracting(found), found.subtracting(losses))
        #expect(unnamed.isEmpty, "lost and not named: \(unnamed.sorted()) (\(about))")
        #expect(unfounded.isEmpty, "named and not lost: \(unfounded.sorted()) (\(about))")
        let named = Set(report.losses.map(\.snapshot))
        for record in history.records.shuffled(using: &random).prefix(Self.restores) {
            let result = Result { try history.restoredDifferences(record) }
            switch result {
            case .success(let differences):
                #expect(differences.isEmpty, "\(record.reference): \(differences) (\(about))")
                #expect(!named.contains("\(record.reference)"), "\(record.reference) comes back (\(about))")
            case .failure(let error):
                let code = (error as? VarveError)?.code
                #expect(code == .corrupt || code == .missing, "\(error) (\(about))")
                #expect(named.contains("\(record.reference)"), "\(record.reference): \(error) (\(about))")
            }
        }
        return named
    }
}

extension RecordedHistory {
    /// Each extent of each file of each snapshot is asked for, as a restore asks for it: what it does not get.
    fileprivate func losses() throws -> Set<String> {
        let reader = try reader()
        var isThere: [ContentID: Bool] = [:]
        var losses: Set<String> = []
        for record in records {
            let snapshot = "\(record.reference)"
            for file in try bench.repository.manifests.read(record.reference).files {
                var lost: [Range<UInt64>] = []
                do {
                    var map = try ExtentMapReader(file, reader: reader)
                    while let extent = try map.next() {
                        let known = isThere[extent.id]
                        let good = known ?? ((try? reader.read(extent.id, .data)) != nil)
                        isThere[extent.id] = good
                        if good { continue }
                        let end = extent.offset + UInt64(extent.length)
                        if let last = lost.last, last.upperBound == extent.offset {
                            lost[lost.count - 1] = last.lowerBound..<end
                        } else {
                            lost.append(extent.offset..<end)
                        }
                    }
                } catch {
                    losses.insert(DamagedHistoryTests.describe(snapshot, file.path, nil))
                }
                losses.formUnion(lost.map { DamagedHistoryTests.describe(snapshot, file.path, $0) })
            }
        }
        return losses
    }
}

/// Something done to packs, and perhaps to the index, that can be undone.
private struct Damage: CustomStringConvertible {
    private(set) var description = ""
    private var before: [(path: String, bytes: [UInt8])] = []

    init(_ bench: Bench, random: inout SeededRandom) throws {
        let packs = try bench.packs
        for pack in packs.shuffled(using: &random).prefix([1, 1, 1, 2, 4].randomElement(using: &random) ?? 1)
        {
            let path = bench.path(ofPack: pack)
            let bytes = try Bytes.read(path)
            before.append((path, bytes))
            try damage(pack, bytes, at: path, &random)
        }
        guard Int.random(in: 0...3, using: &random) == 0 else { return }
        description += " without index"
        for name in try bench.indexes {
            let path = "\(bench.repository.path)/indexes/\(name)"
            before.append((path, try Bytes.read(path)))
            try Directory.removeFile(path)
        }
    }

    private mutating func damage(
        _ pack: String, _ bytes: [UInt8], at path: String, _ random: inout SeededRandom
    ) throws {
        var damaged = bytes
        let what: String
        switch Int.random(in: 0...7, using: &random) {
        case 0, 1:
            try Directory.removeFile(path)
            description += " \(pack.prefix(8)) removed"
            return
        case 2:
            damaged = Array(bytes.prefix(Int.random(in: 0..<bytes.count, using: &random)))
            what = "cut to \(damaged.count)"
        case 3:
            let range = Self.range(in: bytes, atMost: 2000, &random)
            damaged.replaceSubrange(range, with: repeatElement(0, count: range.count))
            what = "zeros at \(range)"
        case 4:
            let range = Self.range(in: bytes, atMost: 2000, &random)
            damaged.replaceSubrange(range, with: random.bytes(range.count))
            what = "noise at \(range)"
        default:
            let places = (0..<Int.random(in: 1...30, using: &random)).map { _ in
                Int.random(in: bytes.indices, using: &random)
            }
            for place in places { damaged[place] ^= 1 << UInt8.random(in: 0...7, using: &random) }
            what = "bits at \(places.sorted())"
        }
        try Bytes.write(damaged, to: path)
        description += " \(pack.prefix(8)) \(what)"
    }

    private static func range(
        in bytes: [UInt8], atMost count: Int, _ random: inout SeededRandom
    ) -> Range<Int> {
        let start = Int.random(in: bytes.indices, using: &random)
        return start..<min(bytes.count, start + Int.random(in: 1...count, using: &random))
    }

    func repair() throws {
        for (path, bytes) in before { try Bytes.write(bytes, to: path) }
    }
}
