import Testing
import VarveBlobs
import VarveCapture
import VarveCodec
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveTestSupport

/// Long series of snapshots of files that change at random: each comes back as it was.
@Suite struct HistoryTests {
    /// Small extents and packs make long chains, deep maps and many packs of little data; the last is what users have.
    enum Shape: String, CaseIterable, Sendable {
        case small, medium, users

        var parameters: RepositoryDescription.Parameters {
            switch self {
            case .small: .init(extentSize: 512, packSize: 16 << 10)
            case .medium: .init(extentSize: 4096, packSize: 64 << 10)
            case .users: .init()
            }
        }
        var largestFile: Int { self == .users ? 1 << 20 : 160 << 10 }
    }

    static let snapshots = Soak.isWanted ? 250 : 60

    @Test(arguments: Shape.allCases, 0..<(Soak.isWanted ? 5 : 1))
    func everySnapshotComesBack(_ shape: Shape, _ round: Int) throws {
        let seed = SeededRandom()
        let history = try RecordedHistory(
            seed: SeededRandom(seed: seed.seed &+ UInt64(round)), extentSize: shape.parameters.extentSize,
            packSize: shape.parameters.packSize, page: min(Int(shape.parameters.extentSize), 4096),
            largestFile: shape.largestFile)
        let about = "\(shape), VARVE_TEST_SEED=\(seed.seed) and \(round)"
        for _ in 0..<Self.snapshots { try history.advance() }
        #expect(history.records.count == Self.snapshots)
        for record in history.records {
            let differences = try history.restoredDifferences(record)
            #expect(differences.isEmpty, "\(record.reference): \(differences) (\(about))")
        }
        let report = try history.bench.verify()
        #expect(report.isGood && report.snapshots == Self.snapshots, "\(report) (\(about))")
        try expectBounds(history, about)
    }

    /// No chain costs a restore more than `DeltaPolicy` allows; and there are chains, or the history shows nothing.
    private func expectBounds(_ history: RecordedHistory, _ about: String) throws {
        let (policy, reader) = (DeltaPolicy(), try history.reader())
        let buffer = BlobBuffer()
        var chains: [ContentID: BlobReader.Chain] = [:]
        for record in history.records {
            for file in try history.bench.repository.manifests.read(record.reference).files {
                var map = try ExtentMapReader(file, reader: reader)
                while let extent = try map.next() {
                    if chains[extent.id] != nil { continue }
                    let chain = try reader.readUnchecked(extent.id, .data, into: buffer)
                    chains[extent.id] = chain
                    let isBounded =
                        chain.depth <= policy.maximumDepth
                        && Double(chain.work) <= policy.maximumWork * Double(extent.length)
                    #expect(isBounded, "\(extent) of \(file.path): \(chain) (\(about))")
                }
            }
        }
        let depths = chains.values.map(\.depth)
        print(
            chains.values.map(\.work).max() ?? 0)
        #expect(
            depths.count { $0 > 0 } > 20 && (depths.max() ?? 0) > 2, "there are too few deltas (\(about))")
    }

    /// A negative control: what is compared would show a bit, a missing file and one too many.
    @Test func aDifferenceWouldShow() throws {
        let history = try RecordedHistory(seed: SeededRandom(), extentSize: 512, packSize: 64 << 10)
        try history.advance()
        let target = try history.bench.restore()
        let record = history.records[0]
        #expect(try record.differences(at: target).isEmpty)
        let path = try #require(record.files.keys.sorted().first { record.files[$0]?.size ?? 0 > 0 })
        var bytes = try Bytes.read(Path.join(target, path))
        bytes[bytes.count / 2] ^= 0x40
        try Bytes.write(bytes, to: Path.join(target, path))
        #expect(try record.differences(at: target) == [path])
        try Directory.removeFile(Path.join(target, path))
        try Bytes.write([], to: Path.join(target, "more"))
        #expect(try record.differences(at: target) == [path, "more"].sorted())
    }
}
