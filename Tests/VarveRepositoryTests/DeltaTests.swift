import Testing
import VarveBlobs
import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveTestSupport
import VarveUpkeep

/// Delta blobs, made by hand: every reader of format 1 reads them, whatever today's writer prefers.
@Suite struct DeltaTests {
    let directory: TemporaryDirectory
    let repository: Repository

    init() throws {
        directory = try TemporaryDirectory()
        repository = try TestRepository.create(at: directory.path, extentSize: 4096)
    }

    private func write(_ body: (GoldenBlobs) throws -> Void) throws {
        let writer = try RepositoryWriter(repository)
        try body(GoldenBlobs(writer))
        try writer.flush()
    }

    @Test(
        arguments: [
            (4096, 4096, [0..<4096]), (4096, 4096, [512..<1024]),
            (4096, 4096, [0..<512, 1024..<1536, 4095..<4096]),
            (4096, 4096, []), (4096, 1000, [0..<1000]), (4096, 1000, [0..<10, 999..<1000]),
            (1000, 4096, [0..<4096]), (1000, 4096, [500..<4096]), (1000, 4096, [1000..<4096]),
            (1, 2, [1..<2]),
        ] as [(Int, Int, [Range<Int>])])
    func comesBack(_ baseLength: Int, _ length: Int, _ ranges: [Range<Int>]) throws {
        var random = SeededRandom()
        let base = random.bytes(baseLength)
        var bytes = Array((base + [UInt8](repeating: 0, count: 4096)).prefix(length))
        for range in ranges { bytes.replaceSubrange(range, with: random.bytes(range.count)) }
        try write {
            try $0.store(base)
            if bytes != base { try $0.storeDelta(bytes, base: base, ranges: ranges) }
        }
        #expect(try repository.reader().read(dataID(bytes), .data) == bytes, "seed \(random.seed)")
        #expect(try Verifier(repository).verifyContent().isGood)
    }

    @Test func randomRangesComeBack() throws {
        var random = SeededRandom()
        var cases: [[UInt8]] = []
        try write { blobs in
            for _ in 0..<200 {
                let base = random.bytes(Int.random(in: 1...4096, using: &random))
                let length = Int.random(in: 1...4096, using: &random)
                var bytes = Array(base.prefix(length)) + random.bytes(max(0, length - base.count))
                var ranges: [Range<Int>] = []
                var at = Int.random(in: 0...200, using: &random)
                while at < min(length, base.count) {
                    let end = min(length, at + Int.random(in: 1...500, using: &random))
                    ranges.append(at..<end)
                    at = end + Int.random(in: 1...900, using: &random)
                }
                // What the base does not have must lie in a range.
                if length > base.count {
                    ranges.removeAll { $0.upperBound >= base.count - 1 }
                    ranges.append(max(0, base.count - 1)..<length)
                }
                for range in ranges { bytes.replaceSubrange(range, with: random.bytes(range.count)) }
                try blobs.store(base)
                if bytes != base { try blobs.storeDelta(bytes, base: base, ranges: ranges) }
                cases.append(bytes)
            }
        }
        let reader = try repository.reader()
        for bytes in cases { #expect(try reader.read(dataID(bytes), .data) == bytes, "seed \(random.seed)") }
    }

    @Test func aChainComesBack() throws {
        var random = SeededRandom()
        var versions = [random.bytes(4096)]
        try write { blobs in
            try blobs.store(versions[0])
            for number in 1...100 {
                var next = versions[number - 1]
                let start = Int.random(in: 0..<4000, using: &random)
                next.replaceSubrange(start..<start + 64, with: random.bytes(64))
                try blobs.storeDelta(next, base: versions[number - 1], ranges: [start..<start + 64])
                versions.append(next)
            }
        }
        let reader = try repository.reader()
        for version in versions { #expect(try reader.read(dataID(version), .data) == version) }
        #expect(try Verifier(repository).verifyContent().isGood)
    }

    /// Headers can say anything: a delta against itself, and two against each other.
    @Test func anEndlessChainIsRefused() throws {
        let (a, b) = (Array("a".utf8), Array("b".utf8))
        let payload = try GoldenBlobs.deltaPayload(a, base: b, ranges: [0..<1])
        let itself = ContentID(hex: String(repeating: "11", count: 32)) ?? .zero
        try write { blobs in
            try blobs.append(dataID(a), base: dataID(b), payload: payload, decodedLength: 1)
            try blobs.append(dataID(b), base: dataID(a), payload: payload, decodedLength: 1)
            try blobs.append(itself, base: itself, payload: payload, decodedLength: 1)
        }
        // On a thread with the stack that verification and restores have.
        let codes = Monitor<[VarveError.Code?]>([])
        let worker = try WorkerThread { [repository] in
            for id in [dataID(a), itself] {
                let result = Result { try repository.reader().read(id, .data) }
                guard case .failure(let error) = result else { continue }
                codes.change { $0.append((error as? VarveError)?.code) }
            }
        }
        worker.join()
        #expect(codes.change { $0 } == [.corrupt, .corrupt])
        let report = try Verifier(repository).verifyContent()
        #expect(report.findings.count { $0.range != nil } == 3)
    }

    /// Damage in bytes that a later version replaced takes down the versions before it, not those after.
    @Test func aVersionAfterTheDamageIsWhole() throws {
        var random = SeededRandom()
        let whole = random.bytes(4096)
        // 0: the damaged bytes are there still; 1: others are replaced; 2: these are; 3: one more.
        let starts = [0, 2048, 0, 1024]
        var versions: [[UInt8]] = []
        try write { blobs in
            try blobs.store(whole)
            for start in starts {
                var next = versions.last ?? whole
                next.replaceSubrange(start..<start + 64, with: random.bytes(64))
                try blobs.storeDelta(next, base: versions.last ?? whole, ranges: [start..<start + 64])
                versions.append(next)
            }
        }
        let pack = repository.path(ofPack: try #require(try TestRepository.packs(repository).first))
        var bytes = try Bytes.read(pack)
        // Noise is stored raw: the last of the 64 bytes, as the first delta holds them.
        let at = try #require(bytes.firstRange(of: versions[0][..<64])?.upperBound) - 1
        bytes[at] ^= 1
        try Bytes.write(bytes, to: pack)

        let repository = try Repository.open(repository.path)
        let reader = try repository.reader()
        let lost = versions.map { (try? reader.read(dataID($0), .data)) == nil }
        #expect(lost == [true, true, false, false])
        let report = try Verifier(repository).verifyContent()
        #expect(report.findings.count { $0.range != nil } == 1, "\(report.findings), seed \(random.seed)")
        let losses = try lossesOfFiles([whole] + versions)
        #expect(losses == [false] + lost, "seed \(random.seed)")
    }

    /// Commits a snapshot with each as a file; whether verification names it as lost.
    private func lossesOfFiles(_ contents: [[UInt8]]) throws -> [Bool] {
        let writer = try RepositoryWriter(repository)
        let files = try contents.enumerated().map { number, bytes in
            var map = ExtentMapBuilder(extentSize: 4096)
            try map.append(dataID(bytes), length: UInt64(bytes.count)) { _ in .zero }
            let blobs = GoldenBlobs(writer)
            let root = try map.finish { (node) throws(VarveError) in try blobs.store(node.encoded, .map) }
            return Manifest.StoredFile(
                path: "f\(number)", kind: .other, size: UInt64(bytes.count),
                attributes: Manifest.Attributes(
                    mode: 0o600, user: 0, group: 0, modified: Timestamp(seconds: 1)),
                map: root?.hex, database: nil, log: nil)
        }
        let time = Timestamp(seconds: 1)
        _ = try writer.commit(
            Manifest(
                repository: repository.id.description, sequence: 1, previous: nil, tool: "test", host: "test",
                started: time, finished: time, environment: nil, recovery: nil, files: files, directories: [],
                warnings: [], statistics: Manifest.Statistics()))
        let lost = Set(try Verifier(repository).verifyContent().losses.map(\.path))
        return contents.indices.map { lost.contains("f\($0)") }
    }

    @Test func whatIsNoDeltaIsNamed() throws {
        var random = SeededRandom()
        let (base, other) = (random.bytes(4096), random.bytes(4096))
        let good = try GoldenBlobs.deltaPayload(other, base: base, ranges: [0..<4096])
        let wrongLength =
            DeltaPayload(baseLength: 4095, granuleShift: 0, ranges: [0..<4096]).encoded
            + good.dropFirst(DeltaPayload(baseLength: 4096, granuleShift: 0, ranges: [0..<4096]).frameOffset)
        let hostile: [(ContentID, [UInt8])] = [
            (dataID(base), wrongLength), (dataID(base), Array(good.dropLast())), (dataID(base), good + [0]),
            (dataID(base), Array(good.prefix(8))), (dataID(base), []),
            // The base is not there: no damage, as no snapshot needs it.
            (dataID([1]), good),
        ]
        for (number, (baseID, payload)) in hostile.enumerated() {
            let id = [UInt8](repeating: UInt8(number + 1), count: 32).withUnsafeBytes { ContentID($0) }
            try write {
                try $0.store(base)
                try $0.append(id, base: baseID, payload: payload, decodedLength: 4096)
            }
            expect(baseID == dataID(base) ? .corrupt : .missing, "case \(number)") {
                try repository.reader().read(id, .data)
            }
        }
        let report = try Verifier(repository).verifyContent()
        #expect(report.findings.count == hostile.count - 1 && report.baseless == 1)
    }
}
